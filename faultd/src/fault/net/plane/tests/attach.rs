//! Rules attach what they need and nothing stays behind.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use faultd_api::{Direction, PortSet};

use super::{
    super::{Hooks, Place},
    harness::{Bench, rule},
};
use crate::host::{netns::Netns, tc::Tc};

const LO: u32 = 1;

/// Runs ip(8) in a namespace. Tests may; the daemon may not.
fn ip(netns: &Netns, arguments: &str) {
    let status = netns.run(|| Command::new("ip").args(arguments.split(' ')).status()).unwrap();
    assert!(status.unwrap().success(), "ip {arguments}");
}

fn places(bench: &Bench) -> Vec<Place> {
    bench.plane.attachments().into_iter().map(|(place, _)| place).collect()
}

#[test]
fn a_rule_attaches_where_it_must_and_takes_that_with_it() {
    let Some(bench) = Bench::new() else { return };
    assert!(places(&bench).is_empty(), "a loaded plane attaches nothing");
    ip(&bench.netns, "link set lo up");
    let port = rule();
    let one = bench.plane.add(&rule()).unwrap();
    let two = bench.plane.add(&port).unwrap();
    assert_eq!(places(&bench), [Place::Egress(LO)]);
    bench.plane.remove(one).unwrap();
    assert_eq!(places(&bench), [Place::Egress(LO)], "the other rule still needs it");
    bench.plane.remove(two).unwrap();
    assert!(places(&bench).is_empty());
    assert!(bench.plane.remove(two).is_err(), "there is nothing to take back twice");
}

#[test]
fn loopback_needs_one_program_and_a_device_one_for_each_direction() {
    let Some(bench) = Bench::new() else { return };
    ip(&bench.netns, "link set lo up");
    ip(&bench.netns, "link add name a0 type veth peer name b0");
    ip(&bench.netns, "link set a0 up");
    let mut both = rule();
    both.hooks = Hooks::classifier(Direction::Both);
    let slot = bench.plane.add(&both).unwrap();
    let found = places(&bench);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.contains(&Place::Egress(LO)) && !found.contains(&Place::Ingress(LO)));
    bench.plane.remove(slot).unwrap();
    assert!(places(&bench).is_empty());
}

#[test]
fn nothing_is_left_on_an_interface() {
    let Some(bench) = Bench::new() else { return };
    ip(&bench.netns, "link set lo up");
    ip(&bench.netns, "link add name a0 type veth peer name b0");
    ip(&bench.netns, "link set a0 up");
    let before = qdiscs(&bench);
    let mut both = rule();
    both.hooks = Hooks::classifier(Direction::Both);
    let slots = [bench.plane.add(&both).unwrap(), bench.plane.add(&rule()).unwrap()];
    for slot in slots {
        bench.plane.remove(slot).unwrap();
    }
    // Where there is no TCX there was a clsact.
    assert_eq!(qdiscs(&bench), before);
}

fn qdiscs(bench: &Bench) -> Vec<(u32, String)> {
    let all = Tc::open(&bench.netns).unwrap().qdiscs(None).unwrap();
    all.into_iter().map(|qdisc| (qdisc.ifindex, qdisc.kind)).collect()
}

#[test]
fn an_interface_that_comes_up_later_is_covered_too() {
    let Some(bench) = Bench::new() else { return };
    ip(&bench.netns, "link set lo up");
    let mut named = rule();
    named.ifindexes = vec![LO];
    let _stays = bench.plane.add(&named).unwrap();
    let slot = bench.plane.add(&rule()).unwrap();
    ip(&bench.netns, "link add name a0 type veth peer name a1");
    ip(&bench.netns, "link add name b0 type veth peer name b1");
    ip(&bench.netns, "link set a0 up");
    eventually(|| places(&bench).len() == 2);
    ip(&bench.netns, "link del a0");
    eventually(|| places(&bench) == [Place::Egress(LO)]);
    ip(&bench.netns, "link set b0 up");
    eventually(|| places(&bench).len() == 2);
    bench.plane.remove(slot).unwrap();
    assert_eq!(places(&bench), [Place::Egress(LO)], "the rule for one interface needs no other");
    ip(&bench.netns, "link add name c0 up type veth peer name c1");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(places(&bench), [Place::Egress(LO)]);
}

/// The kernel's word of an interface takes a moment.
#[track_caller]
fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not after five seconds");
}

#[test]
fn an_ordinary_rule_comes_and_goes_fast() {
    let Some(bench) = Bench::new() else { return };
    ip(&bench.netns, "link set lo up");
    let mut spec = rule();
    spec.port = Some(PortSet::single(8080));
    spec.ifindexes = vec![LO];
    let cold = (0..20).map(|_| {
        let start = Instant::now();
        let slot = bench.plane.add(&spec).unwrap();
        let taken = start.elapsed();
        bench.plane.remove(slot).unwrap();
        taken
    });
    let cold = cold.min().unwrap();
    let _stays = bench.plane.add(&spec).unwrap();
    let warm = (0..20).map(|_| {
        let start = Instant::now();
        bench.plane.add(&spec).unwrap();
        start.elapsed()
    });
    let warm = warm.min().unwrap();
    println!("the first rule on an interface: {cold:?}, another one: {warm:?}");
    // The best of several: a busy machine takes time, but never gives any.
    let patience = std::env::var("FAULTD_TEST_SLOW").map_or(1, |n| n.parse().unwrap());
    assert!(warm < Duration::from_millis(1) * patience, "{warm:?}");
    assert!(cold < Duration::from_millis(5) * patience, "{cold:?}");
}
