//! Rules attach what they need and nothing stays behind.

use std::process::Command;

use faultd_api::{Direction, PortSet};

use super::{
    super::{Hooks, Place},
    harness::{Bench, rule},
};
use crate::host::netns::Netns;

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
fn an_ordinary_rule_comes_and_goes_fast() {
    let Some(bench) = Bench::new() else { return };
    ip(&bench.netns, "link set lo up");
    let mut spec = rule();
    spec.port = Some(PortSet::single(8080));
    let timed = || {
        let start = std::time::Instant::now();
        let slot = bench.plane.add(&spec).unwrap();
        (slot, start.elapsed())
    };
    let (first, cold) = timed();
    let (second, warm) = timed();
    println!("add: cold {cold:?}, warm {warm:?}");
    let start = std::time::Instant::now();
    bench.plane.remove(second).unwrap();
    bench.plane.remove(first).unwrap();
    println!("two removals: {:?}", start.elapsed());
}
