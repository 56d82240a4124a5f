//! 500 ms means 500 ms.

use std::{net::SocketAddr, thread, time::Duration};

use faultd_tests::{
    Netns, netns, slow,
    traffic::{Pinger, TcpEcho, UdpEcho, median, percentile},
};

use crate::{
    classifier::Match,
    setup::{Running, SLOT, needs_privilege},
};

/// Delays and how many round trips of each are measured.
const DELAYS: [(u64, usize); 4] = [(1, 300), (10, 100), (50, 20), (500, 5)];

/// An application's round trips, with pauses: a line that is not kept awake.
fn series(pinger: &mut Pinger, count: usize) -> Vec<u64> {
    let trip = |_| {
        thread::sleep(Duration::from_millis(1));
        pinger.ping()
    };
    (0..count).map(trip).collect()
}

/// Round trips to `to` rise by the delay when `device` delays `which`.
fn check(mut pinger: Pinger, to: SocketAddr, device: &str, which: Match) {
    let before = median(&series(&mut pinger, 100));
    for (ms, count) in DELAYS {
        let running = Running::new().egress(device, which, Duration::from_millis(ms));
        let during = series(&mut pinger, count);
        let stats = running.line.stats(SLOT);
        drop(running);
        let added = |value: u64| (value as f64 - before as f64) / 1e6 - ms as f64;
        let (p50, p99) = (added(median(&during)), added(percentile(&during, 99.0)));
        println!("{to} {ms} ms: error p50 {p50:.3} ms, p99 {p99:.3} ms; {:?}", stats.late);
        // On a busy machine client and server wake up late, which is not the
        // line's doing: the quickest tenth says what the line added. The bench
        // holds median and tail against an idle machine.
        let quick = added(percentile(&during, 10.0));
        assert!(quick <= 0.5 * slow(), "{to} {ms} ms: off by {quick} ms");
        assert!(during.iter().all(|&trip| trip >= ms * 1_000_000), "{to} {ms} ms: too early");
        // TCP sends again what is held longer than its time-out.
        assert!(stats.delivered >= count as u64, "{stats:?}");
        assert!(stats.held.is_some_and(|held| held.p50 >= ms as f64), "{stats:?}");
    }
}

#[test]
fn a_round_trip_on_loopback_rises_by_the_delay() {
    needs_privilege!();
    let _here = Netns::enter();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let tcp = TcpEcho::bind(address);
        check(Pinger::tcp(tcp.address()), tcp.address(), "lo", Match::From(tcp.port()));
        let udp = UdpEcho::bind(address);
        check(Pinger::udp(udp.address()), udp.address(), "lo", Match::From(udp.port()));
    }
}

#[test]
fn a_round_trip_across_a_veth_pair_rises_by_the_delay() {
    needs_privilege!();
    let here = Netns::enter();
    let peer = here.peer();
    for address in
        [netns::PEER_V4, netns::PEER_V6].map(|ip| SocketAddr::new(ip.parse().unwrap(), 0))
    {
        let tcp = peer.run(|| TcpEcho::bind(&address.to_string()));
        let which = Match::To(tcp.port());
        check(Pinger::tcp(tcp.address()), tcp.address(), netns::HERE_DEV, which);
        let udp = peer.run(|| UdpEcho::bind(&address.to_string()));
        let which = Match::To(udp.port());
        check(Pinger::udp(udp.address()), udp.address(), netns::HERE_DEV, which);
    }
}
