//! `loss`: as many packets as asked for, in the pattern asked for.

use std::net::UdpSocket;

use faultd_tests::{
    Victim, World,
    cgroup::Cgroup,
    skip,
    stats::{Z_999, binomial_999, correlated_bound, geometric, lag_one, runs},
    traffic::{self, Pinger, deliver, lost},
    victim::Looks,
    wire::Way,
};

/// Packets that a ratio is judged by.
const COUNT: usize = 100_000;

/// One-way traffic from here to the server's side.
struct Stream {
    world: World,
    sender: UdpSocket,
    receiver: UdpSocket,
    port: u16,
}

impl Stream {
    fn new(way: Way) -> Self {
        let world = way.world();
        let receiver = way.at_server(&world, traffic::receiver);
        let address = traffic::address(&receiver);
        Self { world, sender: traffic::sender_to(address), receiver, port: address.port() }
    }

    /// Sends under a fault, and then as much as a check takes without it.
    fn under(&self, options: &str, count: usize) -> Vec<bool> {
        let id = self.world.inject_id(&format!("loss {options} --port {} --for 600s", self.port));
        let arrived = deliver(&self.sender, &self.receiver, count);
        let fault = self.world.show(&id);
        // What it says of itself has to agree with what was counted here.
        assert_eq!(fault["counters"]["matched"].as_u64(), Some(count as u64), "{fault}");
        assert_eq!(fault["counters"]["affected"].as_u64(), Some(lost(&arrived)), "{fault}");
        self.world.ctl(&format!("revert {id}")).ok();
        let after = deliver(&self.sender, &self.receiver, 2000);
        assert_eq!(lost(&after), 0, "packets are lost after the fault");
        arrived
    }
}

#[test]
fn the_ratio_is_right_on_every_way() {
    for (way, percent) in [(Way::Lo4, 30.0), (Way::Lo6, 1.0), (Way::Veth4, 50.0), (Way::Veth6, 0.1)]
    {
        let stream = Stream::new(way);
        let gone = lost(&stream.under(&format!("--percent {percent}"), COUNT));
        assert!(
            binomial_999(gone, COUNT as u64, percent / 100.0),
            "{way:?}: {gone} of {COUNT} lost at {percent} %"
        );
    }
}

#[test]
fn all_means_all() {
    let stream = Stream::new(Way::Lo4);
    assert_eq!(lost(&stream.under("--percent 100", 5000)), 5000);
}

#[test]
fn draws_are_independent() {
    let stream = Stream::new(Way::Lo4);
    let arrived = stream.under("--percent 20", COUNT);
    let lag = lag_one(&arrived);
    let bound = Z_999 / (COUNT as f64).sqrt();
    assert!(lag.abs() < bound, "lag-1 correlation {lag:.4}, at most {bound:.4}");
    // Lengths of losses in a row are geometric with the chance of a packet to pass.
    geometric(&runs(&arrived, false), 0.8).unwrap();
    geometric(&runs(&arrived, true), 0.2).unwrap();
}

#[test]
fn correlation_keeps_the_ratio() {
    let (p, rho) = (0.3, 0.5);
    let stream = Stream::new(Way::Lo6);
    let arrived = stream.under("--percent 30 --correlation 50", COUNT);
    let ratio = lost(&arrived) as f64 / COUNT as f64;
    let bound = correlated_bound(p, COUNT as u64, rho);
    assert!((ratio - p).abs() < bound, "{ratio:.4} lost, asked for {p} ± {bound:.4}");
    let lag = lag_one(&arrived);
    // Deviation of the estimate for such a chain is below 1.5 / sqrt(n).
    let bound = Z_999 * 1.5 / (COUNT as f64).sqrt();
    assert!((lag - rho).abs() < bound, "lag-1 correlation {lag:.4}, asked for {rho}");
}

#[test]
fn every_nth_is_exact() {
    for (way, n) in [(Way::Lo4, 10), (Way::Veth6, 7)] {
        let stream = Stream::new(way);
        let arrived = stream.under(&format!("--every {n}"), 10_000);
        let gone: Vec<usize> = (0..arrived.len()).filter(|i| !arrived[*i]).collect();
        assert_eq!(gone.len(), 10_000 / n, "{way:?}");
        assert!(gone.windows(2).all(|w| w[1] - w[0] == n), "{way:?}: not every {n}-th");
    }
}

#[test]
fn gilbert_elliott_comes_in_bursts() {
    // p = 1 %, r = 10 %: losses in bursts of 10 on average, gaps of 100.
    let stream = Stream::new(Way::Lo4);
    let count = 2 * COUNT;
    let arrived = stream.under("--gemodel 1,10", count);
    geometric(&runs(&arrived, false), 0.10).unwrap();
    geometric(&runs(&arrived, true), 0.01).unwrap();
    let ratio = lost(&arrived) as f64 / count as f64;
    let (p, bound) = (1.0 / 11.0, correlated_bound(1.0 / 11.0, count as u64, 0.89));
    assert!((ratio - p).abs() < bound, "{ratio:.4} lost, expected {p:.4} ± {bound:.4}");
}

#[test]
fn gilbert_elliott_with_partial_losses() {
    // In the bad state (a share of 1/4) half is lost, in the good one 1 %.
    let stream = Stream::new(Way::Veth4);
    let count = 2 * COUNT;
    let arrived = stream.under("--gemodel 5,15,50,1", count);
    let expected = 0.25 * 0.5 + 0.75 * 0.01;
    let ratio = lost(&arrived) as f64 / count as f64;
    // The states' correlation, 1 - p - r = 0.8, bounds that of the losses.
    let bound = correlated_bound(expected, count as u64, 0.8);
    assert!((ratio - expected).abs() < bound, "{ratio:.4} lost, expected {expected} ± {bound:.4}");
    // Cov(loss_i, loss_i+1) = q(1-q) (l_bad - l_good)² (1-p-r).
    let lag = 0.25 * 0.75 * 0.49_f64.powi(2) * 0.8 / (expected * (1.0 - expected));
    let got = lag_one(&arrived);
    let bound = Z_999 * 2.0 / (count as f64).sqrt();
    assert!((got - lag).abs() < bound, "lag-1 correlation {got:.4}, expected {lag:.4}");
}

#[test]
fn a_seed_repeats_the_losses() {
    let stream = Stream::new(Way::Lo4);
    let first = stream.under("--percent 25 --seed 99", 5000);
    let again = stream.under("--percent 25 --seed 99", 5000);
    let other = stream.under("--percent 25 --seed 100", 5000);
    assert!(first == again, "the same seed, other losses");
    assert!(first != other, "another seed, the same losses");
    let bursts = stream.under("--gemodel 5,20 --seed 99", 5000);
    assert!(bursts == stream.under("--gemodel 5,20 --seed 99", 5000), "Gilbert-Elliott");
}

#[test]
fn ingress_loses_what_arrives() {
    let world = World::with_peer();
    let receiver = traffic::receiver("10.77.0.1:0");
    let address = receiver.local_addr().unwrap();
    let sender = world.peer().run(|| traffic::sender_to(address));
    let fault = format!("loss --percent 30 --port {} --dev veth0", address.port());
    let id = world.inject_id(&format!("{fault} --direction egress"));
    assert_eq!(lost(&deliver(&sender, &receiver, 5000)), 0, "egress does not concern arrivals");
    world.ctl(&format!("revert {id}")).ok();
    world.inject(&format!("{fault} --direction ingress --for 600s"));
    let gone = lost(&deliver(&sender, &receiver, COUNT));
    assert!(binomial_999(gone, COUNT as u64, 0.3), "{gone} of {COUNT}");
}

#[test]
fn a_process_loses_its_share() {
    let world = World::new();
    let Some(cgroup) = Cgroup::new() else { skip!("no cgroup v2 hierarchy is mounted") };
    let victim = Victim::start("127.0.0.1", Some(&cgroup), &Looks::default());
    let mut pinger = Pinger::udp(victim.address());
    pinger.ping();
    let id = world.inject_id(&format!("loss --every 2 --cgroup {}", cgroup.name()));
    let limit = faultd_tests::slowly(std::time::Duration::from_millis(60));
    let answered = (0..40).filter(|_| pinger.ping_within(limit).is_some()).count();
    let fault = world.show(&id);
    world.ctl(&format!("revert {id}")).ok();
    assert_eq!(answered, 20, "every second answer: {fault}");
    pinger.ping();
}
