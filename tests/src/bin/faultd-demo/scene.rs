//! Server, clients and the acts that are played with them.

use std::{fs, net::SocketAddr, thread, time::Duration};

use faultd_tests::{
    Outcome, World,
    clock::{mono_ns, ms},
    ctl::faultctl,
    daemon,
};

use crate::{
    client::Client,
    figures::{Figures, course, table},
    server,
};

/// How long is looked before and after a fault.
const CALM: Duration = Duration::from_secs(2);

/// One fault and what is to be seen.
pub struct Act {
    /// In words.
    pub title: &'static str,
    /// As faultctl takes it, without the target.
    pub fault: &'static str,
    /// How long it lasts.
    pub seconds: u64,
}

/// Two servers, each with a client that never stops asking.
pub struct Scene {
    server: SocketAddr,
    other: SocketAddr,
    client: Client,
    bystander: Client,
}

impl Scene {
    /// Starts servers and clients in the world's namespace.
    pub fn start(_: &World) -> Self {
        let (server, other) = (server::start(), server::start());
        let (client, bystander) = (Client::start(server), Client::start(other));
        Self { server, other, client, bystander }
    }

    /// Who takes part.
    pub fn introduce(&self, world: &World) {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let health = world.get("/v1/health");
        println!("faultd demo, in a network namespace of its own, on Linux {}", kernel.trim());
        println!();
        println!("  server    http://{}/, and one more at http://{}/", self.server, self.other);
        println!(
            "  daemon    faultd {}, pid {}",
            health["version"].as_str().unwrap_or("?"),
            world.pid()
        );
        println!("  client    plain HTTP on an open connection, one request after the other;");
        println!("            it knows nothing of faultd and never stops asking");
    }

    /// Injects, waits, and shows before, during and after.
    pub fn play(&self, world: &World, number: usize, act: &Act) {
        println!("\n{number}. {}\n", act.title);
        let calm = mono_ns();
        thread::sleep(CALM);
        let line =
            format!("inject {} --port {} --for {}s", act.fault, self.server.port(), act.seconds);
        let before = mono_ns();
        let said = Outcome::of(faultctl(world.socket()).args(line.split(' '))).ok();
        println!("    $ faultctl {line}");
        // The socket of the demo is no part of what one would type.
        let socket = format!(" --socket {}", world.socket().display());
        for text in said.replace(&socket, "").lines() {
            println!("    {text}");
        }
        let listed = world.get("/v1/faults")["faults"].clone();
        let id = daemon::id(&listed[0]);
        thread::sleep(Duration::from_secs(act.seconds));
        world.wait_idle(Duration::from_secs(5));
        let fault = world.show(&id);
        let stamp = |name: &str| fault[name].as_u64().expect("a time stamp");
        let (active, ended) = (stamp("active_mono_ns"), stamp("ended_mono_ns"));
        // A packet that was lost right before the end is sent again up to a
        // second later; that is TCP's doing and counts to neither phase.
        let settled = ended + ms(1500.0);
        thread::sleep(Duration::from_millis(1500) + CALM);
        let now = mono_ns();
        let phases = [(calm, before), (active, ended), (settled, now)];
        let figures =
            |client: &Client| phases.map(|(from, to)| Figures::of(&client.between(from, to)));
        println!();
        print!("{}", table(&figures(&self.client), &figures(&self.bystander)));
        let samples = self.client.between(calm, now);
        println!("\n    {}", course(&samples, calm, now, ms(250.0)));
        println!("    a mark each quarter of a second, as high as its slowest answer; × an error");
        let counted = |name: &str| fault["counters"][name].to_string();
        println!(
            "    faultd says of itself: {} packets matched, {} affected, ended: {}",
            counted("matched"),
            counted("affected"),
            fault["end_reason"].as_str().unwrap_or("?")
        );
    }
}
