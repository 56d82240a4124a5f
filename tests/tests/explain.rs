//! Faults compose, and `explain` tells how.

use faultd_tests::{
    World,
    stats::binomial_999,
    traffic::{address, deliver, lost, receiver, sender_to},
    wire::Way,
};
use serde_json::Value;

fn ids(explained: &Value) -> Vec<String> {
    let rules = explained["rules"].as_array().cloned().unwrap_or_default();
    let mut ids: Vec<String> =
        rules.iter().filter_map(|r| r["id"].as_str().map(str::to_owned)).collect();
    ids.sort();
    ids
}

#[test]
fn explain_names_what_a_flow_meets_and_nothing_else() {
    let world = World::new();
    let port = world.inject_id("latency --ms 20 --port 8080 --for 60s");
    let network = world.inject_id("loss --percent 5 --remote 10.0.0.0/8 --for 60s");
    let all = world.inject_id("latency --ms 1 --proto udp --for 60s");
    let explain = |target: &str| world.ctl(&format!("--json explain {target}")).json();
    let sorted = |mut list: Vec<&String>| {
        list.sort();
        list.into_iter().cloned().collect::<Vec<_>>()
    };
    let of_port = explain("--proto tcp --port 8080 --remote 192.0.2.1");
    assert_eq!(ids(&of_port), sorted(vec![&port]), "{of_port}");
    let of_both = explain("--proto tcp --port 8080 --remote 10.1.2.3");
    assert_eq!(ids(&of_both), sorted(vec![&port, &network]), "{of_both}");
    let of_three = explain("--proto udp --port 8080 --remote 10.1.2.3");
    assert_eq!(ids(&of_three), sorted(vec![&port, &network, &all]), "{of_three}");
    let of_none = explain("--proto tcp --port 9 --remote 192.0.2.1");
    assert!(ids(&of_none).is_empty(), "{of_none}");
    assert!(!of_none["effect"].as_str().unwrap_or_default().is_empty());
    world.revert_all();
    assert!(ids(&explain("--port 8080")).is_empty());
}

#[test]
fn the_effect_says_which_part_of_a_flow_it_is_about() {
    let world = World::new();
    world.inject("latency --ms 20 --port 8000-8009 --direction both --for 60s");
    world.inject("loss --percent 5 --port 8000-8099 --for 60s");
    let effect = |target: &str| {
        let explained = world.ctl(&format!("--json explain {target}")).json();
        explained["effect"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        effect("--port 8000-8099"),
        "holds packets for 20 ms, only --port 8000-8009 (10 of 100 ports); \
         drops 5% of the packets, only packets that leave"
    );
    assert_eq!(
        effect("--port 8001 --direction egress"),
        "holds packets for 20 ms; drops 5% of the packets"
    );
}

#[test]
fn losses_compose_as_independent_chances() {
    let world = World::new();
    let receiver = receiver("127.0.0.1:0");
    let to = address(&receiver);
    // Found through the port, through the address, and through neither.
    world.inject(&format!("loss --percent 20 --port {} --for 300s", to.port()));
    world.inject("loss --percent 30 --remote 127.0.0.1 --for 300s");
    world.inject("loss --percent 10 --proto udp --for 300s");
    let count = 100_000;
    let gone = lost(&deliver(&sender_to(to), &receiver, count));
    let expected = 1.0 - 0.8 * 0.7 * 0.9;
    assert!(binomial_999(gone, count as u64, expected), "{gone} of {count}");
}

#[test]
fn a_drop_wins_over_a_delay() {
    let world = World::new();
    let mut pair = Way::Lo4.pair(&world);
    world.inject(&format!("latency --ms 50 --port {} --for 60s", pair.ports()));
    let cut = world.inject_id(&format!("partition --port {} --for 60s", pair.ports()));
    assert_eq!(pair.udp.ping_within(std::time::Duration::from_millis(300)), None);
    world.ctl(&format!("revert {cut}")).ok();
    pair.assert_added(50.0, 5);
}

#[test]
fn the_same_fault_twice_counts_twice_and_ends_apart() {
    let world = World::new();
    let mut pair = Way::Lo6.pair(&world);
    let line = format!("latency --ms 20 --port {} --for 60s", pair.ports());
    let [first, second] = [world.inject_id(&line), world.inject_id(&line)];
    assert_ne!(first, second);
    pair.assert_added(40.0, 8);
    world.ctl(&format!("revert {first}")).ok();
    pair.assert_added(20.0, 8);
    world.ctl(&format!("revert {second}")).ok();
    pair.assert_normal();
}
