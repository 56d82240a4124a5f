//! What a packet costs that no rule matches, by the kernel's own statistics:
//! in every dimension of the index a thousand rules cost about what one does.

use std::{
    net::{Ipv4Addr, UdpSocket},
    process::Command,
};

use faultd_api::PortSet;
use faultd_tests::bpf;
use ipnet::IpNet;

use super::{
    super::{RuleSpec, Scope, lock, object, object::program::TC_EGRESS},
    harness::{Bench, rule},
};

const RULES: u32 = 1000;

/// Packets in one measurement.
const PACKETS: u64 = 1000;

/// The best of this many counts: what disturbs only ever adds.
const MEASUREMENTS: usize = 20;

/// Datagrams on loopback, which nobody reads.
struct Traffic {
    sender: UdpSocket,
    _receiver: UdpSocket,
}

impl Traffic {
    fn new(bench: &Bench) -> Self {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let [sender, receiver] = [(); 2].map(|()| bench.netns.run(bind).unwrap().unwrap());
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        Self { sender, _receiver: receiver }
    }

    /// Nanoseconds a packet.
    fn cost(&self, program: u32) -> f64 {
        let once = || {
            let before = bpf::run_stats(program).unwrap().1;
            for _ in 0..PACKETS {
                self.sender.send(b"x").unwrap();
            }
            let after = bpf::run_stats(program).unwrap().1;
            let runs = after.runs - before.runs;
            assert!(runs >= PACKETS, "{runs} runs for {PACKETS} packets");
            (after.time_ns - before.time_ns) as f64 / runs as f64
        };
        (0..MEASUREMENTS).map(|_| once()).fold(f64::INFINITY, f64::min)
    }
}

fn program(bench: &Bench) -> u32 {
    let mut core = lock(&bench.plane.core);
    object::classifier(&mut core.ebpf, TC_EGRESS).unwrap().info().unwrap().id()
}

/// Adds a thousand rules, none of which matches; nanoseconds a packet beside
/// one of them and beside all. `keeper` is a rule that has the program attached
/// where those do not.
fn costs(what: &str, keeper: Option<RuleSpec>, spec: impl Fn(u32) -> RuleSpec) -> Option<[f64; 2]> {
    let _on = bpf::enable_stats().ok()?;
    let bench = Bench::new()?;
    bench.up();
    let program = program(&bench);
    if let Some(keeper) = keeper {
        bench.plane.add(&keeper).unwrap();
    }
    let mut add = |i| bench.plane.add(&spec(i)).unwrap();
    let first = add(0);
    // After the first rule, which may want to see sockets made.
    let traffic = Traffic::new(&bench);
    let one = traffic.cost(program);
    let last = (1..RULES).map(&mut add).last().unwrap();
    let all = traffic.cost(program);
    for slot in [first, last] {
        assert_eq!(bench.plane.counters(slot).matched, 0, "a rule matches");
    }
    println!("{what}: {one:.0} ns beside 1 rule, {all:.0} ns beside {RULES}");
    Some([one, all])
}

#[track_caller]
fn assert_flat(what: &str, spec: impl Fn(u32) -> RuleSpec) {
    assert_flat_beside(what, None, spec);
}

#[track_caller]
fn assert_flat_beside(what: &str, keeper: Option<RuleSpec>, spec: impl Fn(u32) -> RuleSpec) {
    let Some([one, all]) = costs(what, keeper, spec) else { return };
    assert!(all <= 2.0 * one, "{what}: {one:.0} ns beside 1 rule, {all:.0} ns beside {RULES}");
}

/// The `i`-th of networks that are far from 127.0.0.1, or the nearest.
fn network(first: u32, i: u32) -> Vec<IpNet> {
    vec![IpNet::new(Ipv4Addr::from(first + (i << 8)).into(), 24).unwrap()]
}

#[test]
fn rules_by_port() {
    assert_flat("ports", |i| {
        // Below all that sockets get by themselves.
        RuleSpec { port: Some(PortSet::single(i as u16 + 1)), ..rule() }
    });
}

#[test]
fn rules_by_address() {
    assert_flat("addresses", |i| RuleSpec { remotes: network(0x0a00_0000, i), ..rule() });
}

#[test]
fn rules_by_address_near_by() {
    assert_flat("near addresses", |i| RuleSpec { remotes: network(0x7f00_0100, i), ..rule() });
}

#[test]
fn rules_by_user() {
    assert_flat("users", |i| RuleSpec { scope: Scope::Uid(100_000 + i), ..rule() });
}

#[test]
fn rules_by_cgroup() {
    // Inode numbers that no folder has.
    let id = |i| u64::MAX - u64::from(i);
    assert_flat("cgroups", |i| RuleSpec { scope: Scope::Cgroup { id: id(i), level: 3 }, ..rule() });
}

#[test]
fn rules_by_process() {
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = other.id();
    assert_flat("processes", |_| RuleSpec { scope: Scope::Pids(vec![pid]), ..rule() });
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn rules_by_interface() {
    let keeper = Some(RuleSpec { scope: Scope::Uid(100_000), ..rule() });
    // Those that there may be one day.
    let of = |i| RuleSpec { ifindexes: vec![1_000_000 + i], ..rule() };
    assert_flat_beside("interfaces", keeper, of);
}
