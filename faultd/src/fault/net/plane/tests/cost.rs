//! What a packet costs that no rule matches.

use std::time::Duration;

use faultd_api::PortSet;

use super::{
    super::object::program::TC_EGRESS,
    harness::{Bench, rule},
    packet::{Packet, TCP},
};

const RUNS: u32 = 200_000;

fn cost(bench: &Bench) -> Duration {
    let packet = Packet::new(TCP, ("127.0.0.1", 40_000), ("127.0.0.1", 40_001)).bytes();
    // The best of some runs: what disturbs only ever adds.
    (0..5).map(|_| bench.run(TC_EGRESS, &packet, RUNS).1).min().unwrap()
}

#[test]
fn a_packet_that_no_rule_matches_is_cheap() {
    let Some(bench) = Bench::new() else { return };
    let mut figures = vec![("no rule", cost(&bench))];
    let add = |port| {
        let mut spec = rule();
        spec.port = Some(PortSet::single(port));
        bench.plane.add(&spec).unwrap();
    };
    add(1);
    figures.push(("1 rule", cost(&bench)));
    (2..=1000).for_each(add);
    figures.push(("1000 rules by port", cost(&bench)));
    for i in 0..1000_u32 {
        let mut spec = rule();
        let address = std::net::Ipv4Addr::from(0x0a00_0000 | i << 8);
        spec.remotes = vec![ipnet::IpNet::new(address.into(), 24).unwrap()];
        bench.plane.add(&spec).unwrap();
    }
    figures.push(("and 1000 by prefix", cost(&bench)));
    for (what, cost) in &figures {
        println!("{what}: {cost:?}");
    }
}
