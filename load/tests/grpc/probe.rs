//! The availability probe over gRPC.

use std::{
    collections::BTreeSet,
    fs,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use faultload::summary::Probe;

use crate::{
    run, scenario,
    shop::{Reflects, Shop},
};

/// What a probe sees in a run in which nothing else is sent.
fn probe(address: &str, defaults: &str, more: &str, length: &str) -> Probe {
    let text =
        scenario(address, defaults, &["- pause: 1s"], &format!("{{ for: {length}, pause: true }}"));
    let call = "method: shop.v1.Cart/Add, message: { item: tea, n: 2 }";
    let (summary, _) = run(&format!("{text}probe: {{ grpc: {{ {call} }}, {more} }}\n"));
    summary.probes[0].clone()
}

#[test]
fn calls_are_those_that_the_server_saw() {
    let shop = Shop::with(Reflects::V1, None, false);
    for defaults in ["proto: cart.proto", "reflection: true"] {
        shop.log.lock().unwrap().adds.clear();
        shop.log.lock().unwrap().peers.clear();
        let checks = "checks: [{ json: $.cartId, equals: cart-tea }], timeout: 15s";
        let probe = probe(&shop.address, defaults, checks, "1s");
        for stream in [&probe.fresh, &probe.pooled] {
            assert_eq!((stream.ok, stream.outages.len()), (stream.sent, 0), "{stream:?}");
        }
        let seen = shop.log.lock().unwrap();
        assert_eq!(seen.adds.len() as u64, probe.fresh.sent + probe.pooled.sent);
        assert!(seen.adds.iter().all(|add| (add.item.as_str(), add.n) == ("tea", 2)));
        let peers = seen.peers.iter().collect::<BTreeSet<_>>().len() as u64;
        let most = probe.fresh.sent + probe.pooled.sent / 2;
        assert!((probe.fresh.sent + 1..=most).contains(&peers), "{peers}: {probe:?}");
    }
}

#[test]
fn an_answer_that_was_not_expected_is_an_outage() {
    let shop = Shop::start();
    for more in ["expect: NOT_FOUND", "checks: [{ json: $.cartId, equals: cart-milk }]"] {
        let more = format!("{more}, timeout: 15s");
        let probe = probe(&shop.address, "proto: cart.proto", &more, "500ms");
        for stream in [&probe.fresh, &probe.pooled] {
            assert!(stream.sent > 0 && stream.ok == 0, "{stream:?}");
        }
    }
}

#[test]
fn a_server_that_goes_is_away_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.sock");
    let shop = Shop::with(Reflects::None, Some(&path), false);
    let address = shop.address.clone();
    let probing = thread::spawn(move || probe(&address, "proto: cart.proto", "timeout: 1s", "4s"));
    sleep(Duration::from_millis(1000));
    let gone = Instant::now();
    drop(shop);
    sleep(Duration::from_millis(1000));
    fs::remove_file(&path).unwrap();
    let _back = Shop::with(Reflects::None, Some(&path), false);
    let truth = gone.elapsed().as_secs_f64();
    let probe = probing.join().unwrap();
    for stream in [&probe.fresh, &probe.pooled] {
        let measured = stream.longest_outage_s;
        assert!((measured - truth).abs() < 0.4, "{measured} s, {truth} s is true: {stream:?}");
    }
}
