//! Calls to a real server, whose own counters are the measure.

use std::{collections::BTreeSet, time::Duration};

use faultload::measure::ErrorKind;

use crate::{
    errors, run, scenario,
    shop::{Reflects, Shop},
};

const RATE: &str = "{ for: 300ms, rate: 100/s }";

/// A scenario with .proto files.
fn known(shop: &Shop, step: &str, stage: &str) -> String {
    scenario(&shop.address, "proto: cart.proto", &[step], stage)
}

#[test]
fn what_is_counted_is_what_the_server_saw() {
    let shop = Shop::start();
    let steps = "- grpc: { method: shop.v1.Cart/Add, message: { item: apple, n: 3 } }";
    let (summary, _) = run(&known(&shop, steps, RATE));
    let total = &summary.total;
    assert_eq!((total.due, total.ok, total.failed), (30, 30, 0), "{total:?}");
    assert_eq!(total.statuses, [("OK".to_owned(), 30)].into());
    assert!(total.stream.is_none());
    assert_eq!(total.first_byte.count, 30);
    assert_eq!(summary.flows[0].steps[0].name, "Cart/Add");
    let seen = shop.log.lock().unwrap();
    assert_eq!(seen.adds.len(), 30);
    assert!(seen.adds.iter().all(|add| (add.item.as_str(), add.n) == ("apple", 3)), "{seen:?}");
    // Arrivals share a connection in each of the two workers.
    let peers: BTreeSet<_> = seen.peers.iter().collect();
    assert_eq!(peers.len() as u64, total.connections.opened);
    assert!(peers.len() <= 2, "{peers:?}");
    // Five bytes of framing and a message, and the head of the request.
    assert!(total.sent_bytes > 30 * (5 + 9) && total.received_bytes > 30 * 5);
}

#[test]
fn users_have_a_connection_each() {
    let shop = Shop::start();
    let steps = "- grpc: { method: shop.v1.Cart/Add, message: { item: apple } }";
    let (summary, _) = run(&known(&shop, steps, "{ for: 2s, users: 5 }"));
    let total = &summary.total;
    assert_eq!((total.failed, total.connections.opened), (0, 5), "{total:?}");
    let seen = shop.log.lock().unwrap();
    assert_eq!(seen.adds.len() as u64, total.ok);
    assert_eq!(seen.peers.iter().collect::<BTreeSet<_>>().len(), 5);
}

#[test]
fn templates_extraction_checks_and_metadata() {
    let shop = Shop::start();
    let step = "\
- name: add
  grpc:
    method: shop.v1.Cart/Add
    message: { item: \"{{cart}} {{counter.pear}} \\\"x\\\"\", n: \"{{counter.n | raw}}\" }
    metadata: { Authorization: \"Bearer {{shop}}\", raw-bin: AAEC }
  timeout: 20s
  checks:
    - status: OK
    - json: $.total
      above: 1
    - json: $.cartId
      contains: cart-cart-pear";
    let setup = "setup:
  - grpc: { method: shop.v1.Cart/Add, message: { item: pear } }
    extract: { cart: $.cartId, shop: { header: x-shop } }
    checks: [{ json: $.total, equals: 1 }]\n";
    let (summary, failures) = run(&format!("{setup}{}", known(&shop, step, RATE)));
    assert_eq!((summary.total.ok, summary.total.failed), (30, 0), "{failures:?}");
    assert_eq!(summary.checks.iter().map(|check| check.passed).sum::<u64>(), 90);
    let seen = shop.log.lock().unwrap();
    assert_eq!(seen.adds.len(), 31);
    let numbers: BTreeSet<i32> = seen.adds[1..].iter().map(|add| add.n).collect();
    assert_eq!(numbers, (1..=30).collect(), "each once");
    let is_right = |item: &str| item.starts_with("cart-pear ") && item.ends_with(" \"x\"");
    assert!(seen.adds[1..].iter().all(|add| is_right(&add.item)), "{:?}", seen.adds);
    for metadata in &seen.metadata[1..] {
        assert_eq!(metadata.get("authorization").unwrap().to_str().unwrap(), "Bearer open");
        let raw = metadata.get_bin("raw-bin").unwrap().to_bytes().unwrap();
        assert_eq!(raw.as_ref(), [0, 1, 2]);
        let limit = metadata.get("grpc-timeout").unwrap().to_str().unwrap();
        let limit: u64 = limit.strip_suffix('u').unwrap().parse().unwrap();
        assert!((1..=20_000_000).contains(&limit), "{limit}");
    }
}

#[test]
fn errors_have_their_names_and_may_be_expected() {
    let shop = Shop::start();
    let gone = "\
- name: gone
  grpc: { method: shop.v1.Cart/Add, message: { item: gone } }";
    let (summary, failures) = run(&known(&shop, gone, RATE));
    assert_eq!(errors(&summary, ErrorKind::Status), 30);
    assert_eq!(summary.total.statuses, [("NOT_FOUND".to_owned(), 30)].into());
    assert_eq!(failures, ["status: NOT_FOUND: no item \u{201c}gone\u{201d}, 100%"]);
    let expected = format!(
        "{gone}
  expect: [OK, NOT_FOUND]
  checks:
    - status: NOT_FOUND
    - header: x-why
      equals: sold
    - header: grpc-status-details-bin
      equals: CAU"
    );
    let (summary, failures) = run(&known(&shop, &expected, RATE));
    assert_eq!((summary.total.ok, summary.total.failed), (30, 0), "{failures:?}");
    assert_eq!(shop.log.lock().unwrap().adds.len(), 60);
}

#[test]
fn streams_are_measured_message_by_message() {
    let shop = Shop::start();
    let steps = [
        "- grpc: { method: shop.v1.Cart/Watch, message: { item: tea, changes: 5 } }\n  \
           checks: [{ json: $.cents, equals: 500 }]",
        "- grpc: { method: shop.v1.Cart/Watch, message: { changes: 3 }, collect: true }\n  \
           checks: [{ json: '$[0].cents', equals: 100 }, { json: '$[2].cents', equals: 300 }]",
        "- grpc: { method: shop.v1.Cart/Watch, message: { item: tea } }",
        "- grpc: { method: shop.v1.Cart/Watch, message: { item: withdrawn, changes: 1 } }",
    ];
    let stage = "{ for: 1s, rate: 60/s }";
    let (summary, failures) = run(&scenario(&shop.address, "proto: cart.proto", &steps, stage));
    assert_eq!(failures, ["status: ABORTED: no longer sold"]);
    let [watch, all, none, withdrawn] = [0, 1, 2, 3].map(|flow| &summary.flows[flow].total);
    assert_eq!(summary.total.sent, 60);
    assert!([watch, all, none, withdrawn].iter().all(|total| total.sent > 0));
    assert_eq!((watch.failed, all.failed, none.failed), (0, 0, 0));
    assert_eq!(withdrawn.failed, withdrawn.sent);
    let seen = shop.log.lock().unwrap();
    assert_eq!(seen.watches.len(), 60);
    assert_eq!(seen.prices, 5 * watch.sent + 3 * all.sent + withdrawn.sent);
    assert_eq!(summary.total.stream.as_ref().unwrap().events, seen.prices);
    let stream = watch.stream.as_ref().unwrap();
    let (first, between) = (&stream.first_event, &stream.between_events);
    assert_eq!((first.count, between.count), (watch.sent, 4 * watch.sent));
    // A price is told every 20 ms, and the whole is never shorter than its parts.
    assert!(first.min_ms.unwrap() >= 19.0 && watch.latency.min_ms.unwrap() >= 99.0);
    let parts = first.mean_ms.unwrap() + 4.0 * between.mean_ms.unwrap();
    let whole = watch.latency.mean_ms.unwrap();
    assert!(parts <= whole * 1.02, "{parts} of {whole} ms");
}

#[test]
fn a_server_that_takes_too_long_is_given_up_and_told_so_before() {
    let shop = Shop::start();
    let steps = "\
- grpc: { method: shop.v1.Cart/Add, message: { item: slow } }
  timeout: 500ms";
    let (summary, _) = run(&known(&shop, steps, RATE));
    let total = &summary.total;
    assert_eq!((total.ok, total.failed), (0, 30), "{total:?}");
    // The server knows the limit, too: whoever is first says so.
    let (late, told) = (errors(&summary, ErrorKind::Timeout), errors(&summary, ErrorKind::Status));
    assert_eq!(late + told, 30, "{:?}", total.errors);
    assert!(total.failed_latency.min_ms.unwrap() > 400.0);
    let seen = shop.log.lock().unwrap();
    // On a busy machine the time may be over before the server has seen anything of it.
    assert!((1..=30).contains(&seen.adds.len()));
    for metadata in &seen.metadata {
        let limit = metadata.get("grpc-timeout").unwrap().to_str().unwrap();
        let limit: u64 = limit.strip_suffix('u').unwrap().parse().unwrap();
        assert!((1..=500_000).contains(&limit), "{limit}");
    }
}

#[test]
fn a_template_that_makes_no_message_is_this_sides_failure() {
    let shop = Shop::start();
    let steps = "- grpc: { method: shop.v1.Cart/Add, message: { n: \"x{{user}}\" } }";
    let (summary, failures) = run(&known(&shop, steps, RATE));
    assert_eq!(errors(&summary, ErrorKind::Template), 30, "{failures:?}");
    assert!(failures[0].contains("is no shop.v1.AddRequest"), "{failures:?}");
    assert!(shop.log.lock().unwrap().adds.is_empty());
}

#[test]
fn sockets_of_the_file_system() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::with(Reflects::None, Some(&dir.path().join("shop.sock")), false);
    let steps = "- grpc: { method: shop.v1.Cart/Add, message: { item: apple } }";
    let (summary, failures) = run(&known(&shop, steps, RATE));
    assert_eq!((summary.total.ok, summary.total.failed), (30, 0), "{failures:?}");
    assert_eq!(shop.log.lock().unwrap().adds.len(), 30);
}

#[test]
fn tls_with_a_certificate_that_is_taken_and_one_that_is_not() {
    let shop = Shop::with(Reflects::V1, None, true);
    let steps = "- grpc: { method: shop.v1.Cart/Add, message: { item: apple } }";
    let text = scenario(&shop.address, "reflection: true, insecure: true", &[steps], RATE);
    let (summary, failures) = run(&text);
    assert_eq!((summary.total.ok, summary.total.failed), (30, 0), "{failures:?}");
    assert_eq!(shop.log.lock().unwrap().adds.len(), 30);
    let text = scenario(&shop.address, "proto: cart.proto, tls: true", &[steps], RATE);
    let (summary, failures) = run(&text);
    assert_eq!(errors(&summary, ErrorKind::Tls), 30, "{failures:?}");
    assert_eq!(shop.log.lock().unwrap().adds.len(), 30, "none of these came through");
}

#[test]
fn the_scenario_that_comes_with_the_project_runs() {
    let shop = Shop::start();
    let path = crate::scenarios().join("grpc.yaml");
    let options = faultload::scenario::Options {
        vars: [("address".to_owned(), shop.address.clone())].into(),
        scale: 0.02,
        seed: None,
    };
    let mut scenario = faultload::scenario::load(&path, &options).unwrap();
    // Its own time-outs are for machines that are not busy with tests.
    for step in scenario.plan.flows.iter_mut().flat_map(|flow| &mut flow.steps) {
        step.timeout = Duration::from_secs(60);
    }
    let run = faultload::engine::Run::new(scenario.plan, Default::default()).unwrap();
    let outcome = run.execute(&mut faultload::engine::Silent).unwrap();
    let (summary, failures) = outcome.summary(scenario.info, String::new());
    assert_eq!((summary.total.due, summary.total.ok), (120, 120), "{failures:?}");
    let seen = shop.log.lock().unwrap();
    assert_eq!((seen.adds.len() + seen.watches.len()) as u64, summary.total.ok);
}
