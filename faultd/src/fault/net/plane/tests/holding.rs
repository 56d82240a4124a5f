//! Delay rules on real traffic, through a real delay line: a packet is held
//! once, whichever way it goes, and comes out where it should.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    process::{Child, Command},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use faultd_api::{Direction, LatencyParams, PortSet};

use super::{
    super::{Action, Counters, Hooks, RuleSpec, Via},
    harness::{Bench, rule},
};
use crate::{
    fault::net::line::{Line, LineConfig},
    host::{netns::Netns, test_support::private_netns},
};

const DELAY: Duration = Duration::from_millis(40);
const PORT: u16 = 7007;

fn ip(netns: &Netns, arguments: &str) {
    let status = netns.run(|| Command::new("ip").args(arguments.split(' ')).status()).unwrap();
    assert!(status.unwrap().success(), "ip {arguments}");
}

/// Answers each datagram until one says `end`.
fn echo(netns: &Netns, address: &str) -> thread::JoinHandle<()> {
    let at = SocketAddr::new(address.parse::<IpAddr>().unwrap(), PORT);
    let socket = netns.run(|| UdpSocket::bind(at)).unwrap().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        loop {
            let (n, from) = socket.recv_from(&mut buffer).unwrap();
            if &buffer[..n] == b"end" {
                return;
            }
            socket.send_to(&buffer[..n], from).unwrap();
        }
    })
}

struct Client(UdpSocket);

impl Client {
    fn new(netns: &Netns, server: &str) -> Self {
        let server = SocketAddr::new(server.parse::<IpAddr>().unwrap(), PORT);
        let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = netns.run(|| UdpSocket::bind(any)).unwrap().unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self(socket)
    }

    /// The best round trip of a few.
    fn round_trip(&self) -> Duration {
        let once = |i: u8| {
            let start = Instant::now();
            self.0.send(&[i]).unwrap();
            let mut buffer = [0; 64];
            assert_eq!(self.0.recv(&mut buffer).unwrap(), 1);
            assert_eq!(buffer[0], i);
            start.elapsed()
        };
        (0..5).map(once).min().unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.send(b"end");
    }
}

fn with_line(bench: &Bench) -> Arc<Line> {
    let line = Arc::new(
        Line::start(LineConfig {
            netns: bench.netns.clone(),
            mark: bench.plane.bypass_mark(),
            journal: bench.journal.clone(),
            heartbeat: bench.plane.heartbeat(),
            max_bytes: 1 << 20,
        })
        .unwrap(),
    );
    bench.plane.connect_line(Arc::clone(&line) as Arc<_>).unwrap();
    line
}

fn delay(direction: Direction) -> RuleSpec {
    let ms = DELAY.as_secs_f64() * 1000.0;
    let params = LatencyParams { ms, jitter_ms: 0.0, distribution: None, correlation: None };
    RuleSpec {
        hooks: Hooks::classifier(direction),
        port: Some(PortSet::single(PORT)),
        lo_from_port: true,
        action: Action::Delay(params, Via::Line),
        ..rule()
    }
}

/// How many times a round trip is delayed by a rule.
#[track_caller]
fn times_delayed(bench: &Bench, client: &Client, spec: &RuleSpec) -> u32 {
    let mut gained = Duration::ZERO;
    let counted: Counters = bench.with_rule(spec, |_| gained = client.round_trip());
    assert_eq!(counted.passed_no_line, 0);
    assert_eq!(counted.matched, counted.affected);
    assert_eq!(bench.plane.notes(), []);
    let times = gained.as_secs_f64() / DELAY.as_secs_f64();
    assert!(times.fract() < 0.5, "a round trip of {gained:?}");
    times as u32
}

#[test]
fn a_round_trip_on_loopback_is_held_once_for_each_direction() {
    let Some(bench) = Bench::new() else { return };
    ip(&bench.netns, "link set lo up");
    let line = with_line(&bench);
    for address in ["127.0.0.1", "::1"] {
        let server = echo(&bench.netns, address);
        let client = Client::new(&bench.netns, address);
        assert_eq!(times_delayed(&bench, &client, &delay(Direction::Egress)), 1);
        assert_eq!(times_delayed(&bench, &client, &delay(Direction::Ingress)), 1);
        assert_eq!(times_delayed(&bench, &client, &delay(Direction::Both)), 2);
        drop(client);
        server.join().unwrap();
    }
    bench.plane.disconnect_line().unwrap();
    drop(line);
    assert!(bench.plane.attachments().is_empty());
}

/// A process that only is in a namespace, for ip(8) to name it by.
struct Resident(Child);

impl Resident {
    fn of(netns: &Netns) -> Self {
        let spawn = || Command::new("sleep").arg("600").spawn();
        Self(netns.run(spawn).unwrap().unwrap())
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_device_holds_what_leaves_and_what_arrives() {
    let (Some(bench), Some(far)) = (Bench::new(), private_netns()) else { return };
    let resident = Resident::of(&far);
    ip(&bench.netns, "link set lo up");
    ip(&bench.netns, "link add name a0 type veth peer name b0");
    ip(&bench.netns, &format!("link set b0 netns {}", resident.0.id()));
    for (netns, device, host) in [(&bench.netns, "a0", 1), (&far, "b0", 2)] {
        ip(netns, &format!("addr add 10.77.0.{host}/24 dev {device}"));
        ip(netns, &format!("-6 addr add fd77::{host}/64 dev {device} nodad"));
        ip(netns, &format!("link set {device} up"));
    }
    let line = with_line(&bench);
    for address in ["10.77.0.2", "fd77::2"] {
        let server = echo(&far, address);
        let client = Client::new(&bench.netns, address);
        client.round_trip();
        assert_eq!(times_delayed(&bench, &client, &delay(Direction::Egress)), 1);
        assert_eq!(times_delayed(&bench, &client, &delay(Direction::Ingress)), 1);
        assert_eq!(times_delayed(&bench, &client, &delay(Direction::Both)), 2);
        drop(client);
        server.join().unwrap();
    }
    bench.plane.disconnect_line().unwrap();
    drop(line);
    assert!(bench.plane.attachments().is_empty());
}

#[test]
fn several_rules_add_up() {
    let Some(bench) = Bench::new() else { return };
    ip(&bench.netns, "link set lo up");
    let line = with_line(&bench);
    let server = echo(&bench.netns, "127.0.0.1");
    let client = Client::new(&bench.netns, "127.0.0.1");
    let spec = delay(Direction::Egress);
    let first = bench.plane.add(&spec).unwrap();
    assert_eq!(times_delayed(&bench, &client, &spec), 2);
    bench.plane.remove(first).unwrap();
    drop(client);
    server.join().unwrap();
    drop(line);
}

#[test]
fn without_a_heartbeat_packets_pass() {
    let Some(bench) = Bench::new() else { return };
    ip(&bench.netns, "link set lo up");
    let line = with_line(&bench);
    let server = echo(&bench.netns, "127.0.0.1");
    let client = Client::new(&bench.netns, "127.0.0.1");
    let slot = bench.plane.add(&delay(Direction::Egress)).unwrap();
    assert!(client.round_trip() >= DELAY);
    // The line goes, the rule stays: what was held comes, the rest passes.
    bench.plane.disconnect_line().unwrap();
    drop(line);
    assert!(client.round_trip() < DELAY);
    assert!(bench.plane.counters(slot).passed_no_line > 0);
    bench.plane.remove(slot).unwrap();
    drop(client);
    server.join().unwrap();
}
