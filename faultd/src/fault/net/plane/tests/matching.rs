//! Every field of a rule decides, in every direction and from every index.

use faultd_api::{Direction, PortSet};
use ipnet::IpNet;

use super::{
    super::{Flow, Hooks, RuleSpec, Scope},
    harness::{Bench, PASS, SHOT, rule},
    packet::{Packet, TCP},
};

const A: &str = "10.0.0.1";
const B: &str = "10.9.9.9";

fn ports(text: &str) -> Option<PortSet> {
    Some(text.parse().unwrap())
}

fn nets(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|net| net.parse().unwrap()).collect()
}

/// From A:`source` to B:`destination`.
fn packet(source: u16, destination: u16) -> Vec<u8> {
    Packet::new(TCP, (A, source), (B, destination)).bytes()
}

/// Whether packets (source and destination port) that leave by loopback are
/// dropped.
#[track_caller]
fn assert_leaving(bench: &Bench, spec: &RuleSpec, expected: &[((u16, u16), i32)]) {
    let counted = bench.with_rule(spec, |bench| {
        for ((source, destination), verdict) in expected {
            let got = bench.leave(&packet(*source, *destination));
            assert_eq!(got, *verdict, "{source} -> {destination}");
        }
    });
    let dropped = expected.iter().filter(|(_, verdict)| *verdict == SHOT).count() as u64;
    assert_eq!((counted.matched, counted.affected), (dropped, dropped), "each counted once");
}

#[test]
fn ports_at_either_end() {
    let Some(bench) = Bench::new() else { return };
    let mut spec = rule();
    spec.port = ports("80,8000-8099");
    let expected = [
        ((1, 80), SHOT),
        ((80, 1), SHOT),
        ((80, 80), SHOT),
        ((80, 8000), SHOT),
        ((8099, 8000), SHOT),
        ((1, 8100), PASS),
        ((7999, 81), PASS),
    ];
    assert_leaving(&bench, &spec, &expected);
    // Too many ports for the index: the rule is tried on every packet.
    spec.port = ports("80,8000-8099,20000-40000");
    assert_leaving(&bench, &spec, &expected);
}

#[test]
fn ports_of_one_end_follow_the_direction() {
    let Some(bench) = Bench::new() else { return };
    for (direction, local, remote) in [
        // On loopback, what leaves by a rule for egress does so from its
        // local port; for ingress it arrives at it.
        (Direction::Egress, (80, 9), (9, 80)),
        (Direction::Ingress, (9, 80), (80, 9)),
    ] {
        let mut spec = rule();
        spec.hooks = Hooks::classifier(direction);
        spec.local_port = ports("80");
        assert_leaving(&bench, &spec, &[(local, SHOT), (remote, PASS), ((80, 80), SHOT)]);
        spec.local_port = None;
        spec.remote_port = ports("80");
        assert_leaving(&bench, &spec, &[(remote, SHOT), (local, PASS), ((80, 80), SHOT)]);
    }
    let mut both = rule();
    both.hooks = Hooks::classifier(Direction::Both);
    both.local_port = ports("80");
    assert_leaving(&bench, &both, &[((80, 9), SHOT), ((9, 80), SHOT), ((9, 9), PASS)]);
}

#[test]
fn both_ends_at_once() {
    let Some(bench) = Bench::new() else { return };
    let mut spec = rule();
    spec.local_port = ports("1000-1999");
    spec.remote_port = ports("80");
    let expected = [((1000, 80), SHOT), ((80, 1000), PASS), ((999, 80), PASS), ((1000, 81), PASS)];
    assert_leaving(&bench, &spec, &expected);
}

#[test]
fn excepted_ports_are_left_alone() {
    let Some(bench) = Bench::new() else { return };
    let mut spec = rule();
    spec.except_port = ports("22,9000-9010");
    let expected =
        [((1, 2), SHOT), ((1, 22), PASS), ((22, 1), PASS), ((9005, 1), PASS), ((9011, 1), SHOT)];
    assert_leaving(&bench, &spec, &expected);
    spec.port = ports("22,23");
    assert_leaving(&bench, &spec, &[((1, 22), PASS), ((1, 23), SHOT), ((22, 23), PASS)]);
}

#[test]
fn a_round_trip_on_loopback_is_hit_once() {
    let Some(bench) = Bench::new() else { return };
    let mut spec = rule();
    spec.port = ports("80,81");
    spec.lo_from_port = true;
    assert_leaving(&bench, &spec, &[((80, 9), SHOT), ((9, 80), PASS)]);
    // Both ends are in the set: one of the two ways.
    let counted = bench.with_rule(&spec, |bench| {
        for (one, other) in
            [(((A, 80), (B, 81)), ((B, 81), (A, 80))), (((A, 80), (B, 80)), ((B, 80), (A, 80)))]
        {
            let run =
                |(source, destination)| bench.leave(&Packet::new(TCP, source, destination).bytes());
            assert_ne!(run(one), run(other));
        }
    });
    assert_eq!(counted.matched, 2);
    spec.hooks = Hooks::classifier(Direction::Ingress);
    assert_leaving(&bench, &spec, &[((80, 9), PASS), ((9, 80), SHOT)]);
    spec.hooks = Hooks::classifier(Direction::Both);
    assert_leaving(&bench, &spec, &[((80, 9), SHOT), ((9, 80), SHOT), ((9, 9), PASS)]);
}

#[test]
fn remote_addresses() {
    let Some(bench) = Bench::new() else { return };
    let run = |bench: &Bench, source: &str, destination: &str| {
        bench.leave(&Packet::new(TCP, (source, 1), (destination, 2)).bytes())
    };
    let mut spec = rule();
    spec.remotes = nets(&["10.9.0.0/16", "2001:db8:9::/48", "192.0.2.7/32"]);
    let counted = bench.with_rule(&spec, |bench| {
        assert_eq!(run(bench, A, B), SHOT);
        assert_eq!(run(bench, A, "10.8.0.1"), PASS);
        assert_eq!(run(bench, B, A), PASS, "what leaves has its remote end as destination");
        assert_eq!(run(bench, A, "192.0.2.7"), SHOT);
        assert_eq!(run(bench, A, "192.0.2.6"), PASS);
        assert_eq!(run(bench, "::1", "2001:db8:9::5"), SHOT);
        assert_eq!(run(bench, "::1", "2001:db8:8::5"), PASS);
    });
    assert_eq!(counted.affected, 3);
    spec.hooks = Hooks::classifier(Direction::Ingress);
    bench.with_rule(&spec, |bench| {
        assert_eq!(run(bench, B, A), SHOT);
        assert_eq!(run(bench, A, B), PASS);
    });
    spec.hooks = Hooks::classifier(Direction::Both);
    let counted = bench.with_rule(&spec, |bench| {
        assert_eq!(run(bench, B, A), SHOT);
        assert_eq!(run(bench, A, B), SHOT);
        assert_eq!(run(bench, B, B), SHOT);
        assert_eq!(run(bench, A, A), PASS);
    });
    assert_eq!(counted.affected, 3, "a rule that both ends lead to counts once");
    spec.remotes = nets(&["0.0.0.0/0"]);
    bench.with_rule(&spec, |bench| {
        assert_eq!(run(bench, A, B), SHOT);
        assert_eq!(run(bench, "::1", "2001:db8:9::5"), PASS, "all of IPv4 is not IPv6");
    });
}

#[test]
fn excepted_addresses_are_left_alone() {
    let Some(bench) = Bench::new() else { return };
    let run = |bench: &Bench, source: &str, destination: &str| {
        bench.leave(&Packet::new(TCP, (source, 1), (destination, 2)).bytes())
    };
    let mut spec = rule();
    spec.except_remotes = nets(&["10.9.9.0/24"]);
    bench.with_rule(&spec, |bench| {
        assert_eq!(run(bench, A, B), PASS);
        assert_eq!(run(bench, B, A), SHOT);
        assert_eq!(run(bench, A, "10.9.8.1"), SHOT);
    });
    spec.hooks = Hooks::classifier(Direction::Both);
    bench.with_rule(&spec, |bench| {
        assert_eq!(run(bench, A, B), PASS, "left out in one view is left out");
        assert_eq!(run(bench, B, A), PASS);
    });
    spec.remotes = nets(&["10.0.0.0/8"]);
    bench.with_rule(&spec, |bench| {
        assert_eq!(run(bench, A, "10.1.1.1"), SHOT);
        assert_eq!(run(bench, A, B), PASS);
    });
}

#[test]
fn overlapping_prefixes_of_several_rules_all_act() {
    let Some(bench) = Bench::new() else { return };
    let slots: Vec<_> = ["10.0.0.0/8", "10.9.0.0/16", "10.9.9.9/32", "10.8.0.0/16"]
        .iter()
        .map(|net| {
            let mut spec = rule();
            spec.remotes = nets(&[net]);
            bench.plane.add(&spec).unwrap()
        })
        .collect();
    bench.leave(&packet(1, 2));
    let counts: Vec<u64> = slots.iter().map(|s| bench.plane.counters(*s).matched).collect();
    assert_eq!(counts, [1, 1, 1, 0]);
    bench.plane.remove(slots[1]).unwrap();
    bench.leave(&packet(1, 2));
    let counts: Vec<u64> = slots.iter().map(|s| bench.plane.counters(*s).matched).collect();
    assert_eq!(counts, [2, 0, 2, 0]);
}

#[test]
fn interfaces_and_directions() {
    let Some(bench) = Bench::new() else { return };
    let mut spec = rule();
    spec.ifindexes = vec![1];
    assert_leaving(&bench, &spec, &[((1, 2), SHOT)]);
    spec.ifindexes = vec![2, 3];
    assert_leaving(&bench, &spec, &[((1, 2), PASS)]);
    let egress = bench.with_rule(&rule(), |bench| {
        assert_eq!(bench.arrive(&packet(1, 2)), PASS);
    });
    assert_eq!(egress.matched, 0);
}

#[test]
fn a_rule_whose_time_is_up_does_nothing() {
    let Some(bench) = Bench::new() else { return };
    let mut spec = rule();
    spec.expires_boot_ns = 1;
    let counted = bench.with_rule(&spec, |bench| {
        assert_eq!(bench.leave(&packet(1, 2)), PASS);
    });
    assert_eq!((counted.matched, counted.affected, counted.expired), (0, 0, 1));
}

#[test]
fn exempt_flows_pass_both_ways_and_are_counted() {
    let Some(bench) = Bench::new() else { return };
    let flow = Flow {
        local: (A.parse::<std::net::IpAddr>().unwrap(), 22).into(),
        remote: "10.9.9.9:50000".parse().unwrap(),
    };
    bench.plane.exempt(&flow).unwrap();
    bench.plane.exempt(&flow).unwrap();
    let back = Packet::new(TCP, (B, 50_000), (A, 22)).bytes();
    let counted = bench.with_rule(&rule(), |bench| {
        assert_eq!(bench.leave(&packet(22, 50_000)), PASS);
        assert_eq!(bench.leave(&back), PASS);
        assert_eq!(bench.leave(&packet(22, 50_001)), SHOT);
        bench.plane.unexempt(&flow).unwrap();
        assert_eq!(bench.leave(&back), PASS, "somebody else still wants it left alone");
        bench.plane.unexempt(&flow).unwrap();
        assert_eq!(bench.leave(&back), SHOT);
    });
    assert_eq!((counted.exempt, counted.matched), (3, 2));
    bench.plane.exempt(&flow).unwrap();
    let mut forced = rule();
    forced.force = true;
    assert_leaving(&bench, &forced, &[((22, 50_000), SHOT)]);
}

/// The kernel gives the packets of a test run a socket of the caller's: in its
/// cgroup, and of user 0.
#[test]
fn sockets_of_a_user() {
    let Some(bench) = Bench::new() else { return };
    let mut spec = rule();
    spec.scope = Scope::Uid(0);
    assert_leaving(&bench, &spec, &[((1, 2), SHOT)]);
    spec.scope = Scope::Uid(1234);
    assert_leaving(&bench, &spec, &[((1, 2), PASS)]);
    spec.scope = Scope::Any;
    spec.uid = Some(0);
    assert_leaving(&bench, &spec, &[((1, 2), SHOT)]);
    spec.uid = Some(1234);
    assert_leaving(&bench, &spec, &[((1, 2), PASS)]);
}

#[test]
fn a_thousand_rules_each_meet_their_own_packets() {
    let Some(bench) = Bench::new() else { return };
    let slots: Vec<_> = (0..1000)
        .map(|i| {
            let mut spec = rule();
            spec.port = Some(PortSet::single(10_000 + i));
            bench.plane.add(&spec).unwrap()
        })
        .collect();
    assert_eq!(bench.plane.rule_count(), 1000);
    for i in (0..1000).step_by(37) {
        assert_eq!(bench.leave(&packet(1, 10_000 + i)), SHOT);
    }
    assert_eq!(bench.leave(&packet(1, 9_999)), PASS);
    for (i, slot) in slots.iter().enumerate() {
        assert_eq!(bench.plane.counters(*slot).matched, u64::from(i % 37 == 0), "rule {i}");
    }
    for slot in slots {
        bench.plane.remove(slot).unwrap();
    }
    assert_eq!(bench.leave(&packet(1, 10_000)), PASS);
}

#[test]
fn a_thousand_rules_for_one_port_all_act() {
    let Some(bench) = Bench::new() else { return };
    let mut spec = rule();
    spec.port = Some(PortSet::single(80));
    let slots: Vec<_> = (0..1000).map(|_| bench.plane.add(&spec).unwrap()).collect();
    assert_eq!(bench.leave(&packet(1, 80)), SHOT);
    assert!(slots.iter().all(|slot| bench.plane.counters(*slot).matched == 1));
}
