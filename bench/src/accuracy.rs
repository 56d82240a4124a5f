//! How exact a delay is: round trips on open connections, before and under it.

use std::{thread, time::Duration};

use faultd_tests::{
    World,
    clock::to_ms,
    command::{run, succeeds},
    netns::HERE_DEV,
    traffic::{Pinger, TcpEcho, UdpEcho, median},
    wire::Way,
};

use crate::report::Accuracy;

/// Delays in milliseconds, round trips for each, and whether all connections
/// are measured at the same time (long delays leave the machine idle).
const DELAYS: [(f64, usize, bool); 4] =
    [(1.0, 600, false), (10.0, 300, false), (50.0, 200, true), (500.0, 200, true)];

/// One connection.
struct Connection {
    way: Way,
    proto: &'static str,
    pinger: Pinger,
}

impl Connection {
    /// Median round trip without a fault, in nanoseconds, at the pace that the
    /// delay will dictate: after a long sleep processors and caches are cold,
    /// which is none of the fault's doing.
    fn normal(&mut self, delay: f64, count: usize) -> u64 {
        let pause = Duration::from_secs_f64(delay / 1e3);
        let mut round_trips = Vec::new();
        for _ in 0..count {
            thread::sleep(pause);
            round_trips.extend(self.pinger.series(1));
        }
        median(&round_trips)
    }
}

/// Servers and connections of all kinds.
struct Setting {
    connections: Vec<Connection>,
    ports: String,
    _servers: Vec<(TcpEcho, UdpEcho)>,
}

impl Setting {
    fn new(world: &World, ways: &[Way]) -> Self {
        let servers: Vec<_> = ways
            .iter()
            .map(|way| way.at_server(world, |any| (TcpEcho::bind(any), UdpEcho::bind(any))))
            .collect();
        let mut connections = Vec::new();
        for (way, (tcp, udp)) in ways.iter().zip(&servers) {
            let pingers =
                [("TCP", Pinger::tcp(tcp.address())), ("UDP", Pinger::udp(udp.address()))];
            for (proto, pinger) in pingers {
                connections.push(Connection { way: *way, proto, pinger });
            }
        }
        let ports: Vec<_> =
            servers.iter().flat_map(|(t, u)| [t.port(), u.port()].map(|p| p.to_string())).collect();
        Self { connections, ports: ports.join(","), _servers: servers }
    }

    /// Round trips on every connection while something delays them, which
    /// `start` puts in force.
    fn measure(
        &mut self,
        backend: &str,
        (delay, count, together): (f64, usize, bool),
        start: impl FnOnce(),
    ) -> Vec<Accuracy> {
        let normal =
            self.each(together, |c| c.normal(delay, if together { count / 3 } else { count }));
        start();
        let during = self.each(together, |c| (c.way, c.proto, c.pinger.series(count)));
        let pairs = during.into_iter().zip(normal);
        pairs
            .map(|((way, proto, round_trips), normal)| {
                let off = |took: &u64| to_ms(*took) - to_ms(normal) - delay;
                let errors: Vec<f64> = round_trips.iter().map(off).collect();
                Accuracy::of(backend, delay, way, proto, &errors)
            })
            .collect()
    }

    /// Does something on every connection, one after the other or all at once.
    fn each<T: Send>(
        &mut self,
        together: bool,
        work: impl Fn(&mut Connection) -> T + Sync,
    ) -> Vec<T> {
        if !together {
            return self.connections.iter_mut().map(work).collect();
        }
        thread::scope(|scope| {
            let work = &work;
            let workers: Vec<_> =
                self.connections.iter_mut().map(|c| scope.spawn(move || work(c))).collect();
            workers.into_iter().map(|w| w.join().expect("a measuring thread")).collect()
        })
    }
}

/// Measures every backend that works here, and `tc … netem` itself where the
/// kernel has it.
pub fn measure(scale: f64) -> Vec<Accuracy> {
    let mut all = Vec::new();
    for backend in backends() {
        eprintln!("accuracy of {backend} …");
        all.extend(of_backend(&backend, scale));
    }
    if has_netem() {
        eprintln!("accuracy of tc netem …");
        all.extend(of_tc(scale));
    }
    all
}

fn backends() -> Vec<String> {
    let world = World::with_peer();
    let found = world.get("/v1/capabilities");
    let kinds = found["kinds"].as_array().cloned().unwrap_or_default();
    let latency = kinds.iter().find(|k| k["kind"] == "latency").cloned().unwrap_or_default();
    let backends = latency["backends"].as_array().cloned().unwrap_or_default();
    let usable = backends.iter().filter(|b| b["support"] == "yes");
    usable.filter_map(|b| b["name"].as_str().map(str::to_owned)).collect()
}

fn of_backend(backend: &str, scale: f64) -> Vec<Accuracy> {
    // edt only where an fq queue is; loopback has none.
    let ways: &[Way] = if backend == "edt" { &[Way::Veth4, Way::Veth6] } else { &Way::ALL };
    let world = World::prepared(true, faultd_tests::daemon::Home::new(), &[], |_, _| {
        if backend == "edt" {
            run(&format!("tc qdisc replace dev {HERE_DEV} root fq"));
        }
    });
    let mut setting = Setting::new(&world, ways);
    let dev = if backend == "edt" { format!("--dev {HERE_DEV}") } else { String::new() };
    let mut all = Vec::new();
    let ports = setting.ports.clone();
    for (delay, count, together) in DELAYS {
        let line =
            format!("latency --ms {delay} --backend {backend} --port {ports} {dev} --for 600s");
        let plan = (delay, scaled(count, scale), together);
        all.extend(setting.measure(backend, plan, || drop(world.inject(&line))));
        world.revert_all();
    }
    all
}

/// The same on a bare netem, which shapes all that leaves the interface.
fn of_tc(scale: f64) -> Vec<Accuracy> {
    let world = World::with_peer();
    let mut setting = Setting::new(&world, &[Way::Veth4, Way::Veth6]);
    let mut all = Vec::new();
    for (delay, count, together) in DELAYS {
        let line = format!("tc qdisc add dev {HERE_DEV} root netem delay {delay}ms limit 100000");
        let plan = (delay, scaled(count, scale), together);
        all.extend(setting.measure("tc netem", plan, || drop(run(&line))));
        run(&format!("tc qdisc delete dev {HERE_DEV} root"));
    }
    all
}

fn has_netem() -> bool {
    let _here = faultd_tests::Netns::enter();
    succeeds("tc qdisc add dev lo root netem delay 1ms")
}

fn scaled(count: usize, scale: f64) -> usize {
    ((count as f64 * scale) as usize).max(3)
}
