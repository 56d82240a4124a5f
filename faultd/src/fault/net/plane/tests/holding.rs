//! Delay rules on real traffic, through a real delay line: a packet is held
//! once, whichever way it goes, and comes out where it should.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    ops::Deref,
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

/// A rule table whose delay rules have a line to hold packets in.
struct Scene {
    bench: Bench,
    line: Arc<Line>,
}

impl Scene {
    /// With loopback up. `None` where tests may not make namespaces.
    fn new() -> Option<Self> {
        let bench = Bench::new()?;
        ip(&bench.netns, "link set lo up");
        let config = LineConfig {
            netns: bench.netns.clone(),
            mark: bench.plane.bypass_mark(),
            journal: bench.journal.clone(),
            heartbeat: bench.plane.heartbeat(),
            max_bytes: 1 << 20,
        };
        let line = Arc::new(Line::start(config).unwrap());
        bench.plane.connect_line(Arc::clone(&line) as Arc<_>).unwrap();
        Some(Self { bench, line })
    }

    /// A client here of an echo server at an address of `server`.
    fn talk(&self, server: &Netns, address: &str) -> Talk {
        let echo = echo(server, address);
        Talk { client: Some(Client::new(&self.bench.netns, address)), echo: Some(echo) }
    }

    /// Held once for each direction, whichever that is.
    #[track_caller]
    fn holds_each_way(&self, client: &Client) {
        for (direction, times) in
            [(Direction::Egress, 1), (Direction::Ingress, 1), (Direction::Both, 2)]
        {
            let delayed = times_delayed(&self.bench, client, &delay(direction));
            assert_eq!(delayed, times, "{direction:?}");
        }
    }

    /// The line goes; what it held comes.
    fn without_line(self) -> Bench {
        self.bench.plane.disconnect_line().unwrap();
        drop(self.line);
        self.bench
    }
}

/// A conversation; dropped, the server ends.
struct Talk {
    client: Option<Client>,
    echo: Option<thread::JoinHandle<()>>,
}

impl Deref for Talk {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().unwrap()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.client.take());
        if let (Some(echo), false) = (self.echo.take(), thread::panicking()) {
            echo.join().unwrap();
        }
    }
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
    let Some(scene) = Scene::new() else { return };
    for address in ["127.0.0.1", "::1"] {
        scene.holds_each_way(&scene.talk(&scene.bench.netns, address));
    }
    assert!(scene.without_line().plane.attachments().is_empty());
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
    let (Some(scene), Some(far)) = (Scene::new(), private_netns()) else { return };
    let (near, resident) = (&scene.bench.netns, Resident::of(&far));
    ip(near, "link add name a0 type veth peer name b0");
    ip(near, &format!("link set b0 netns {}", resident.0.id()));
    for (netns, device, host) in [(near, "a0", 1), (&far, "b0", 2)] {
        ip(netns, &format!("addr add 10.77.0.{host}/24 dev {device}"));
        ip(netns, &format!("-6 addr add fd77::{host}/64 dev {device} nodad"));
        ip(netns, &format!("link set {device} up"));
    }
    for address in ["10.77.0.2", "fd77::2"] {
        let client = scene.talk(&far, address);
        client.round_trip();
        scene.holds_each_way(&client);
    }
    assert!(scene.without_line().plane.attachments().is_empty());
}

#[test]
fn several_rules_add_up() {
    let Some(scene) = Scene::new() else { return };
    let client = scene.talk(&scene.bench.netns, "127.0.0.1");
    let spec = delay(Direction::Egress);
    let first = scene.bench.plane.add(&spec).unwrap();
    assert_eq!(times_delayed(&scene.bench, &client, &spec), 2);
    scene.bench.plane.remove(first).unwrap();
}

#[test]
fn without_a_heartbeat_packets_pass() {
    let Some(scene) = Scene::new() else { return };
    let client = scene.talk(&scene.bench.netns, "127.0.0.1");
    let slot = scene.bench.plane.add(&delay(Direction::Egress)).unwrap();
    assert!(client.round_trip() >= DELAY);
    // The rule stays, and what has no line to go to passes.
    let bench = scene.without_line();
    assert!(client.round_trip() < DELAY);
    assert!(bench.plane.counters(slot).passed_no_line > 0);
    bench.plane.remove(slot).unwrap();
}
