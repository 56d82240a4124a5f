//! The daemon as a service: what it tells systemd, and what it logs.

use std::{io, os::unix::net::UnixDatagram, time::Duration};

use faultd_tests::{Outcome, World, daemon::Home, eventually, slowly, traffic::sender_to};
use tempfile::TempDir;

/// The socket on which a service manager listens; sd_notify(3).
struct Manager {
    dir: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> io::Result<Self> {
        let dir = TempDir::with_prefix("faultd-test-notify-")?;
        let socket = UnixDatagram::bind(dir.path().join("notify"))?;
        socket.set_read_timeout(Some(slowly(Duration::from_secs(5))))?;
        Ok(Self { dir, socket })
    }

    fn path(&self) -> String {
        self.dir.path().join("notify").display().to_string()
    }

    /// What it is told next.
    fn hears(&self) -> io::Result<String> {
        let mut buffer = [0; 4096];
        let size = self.socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..size]).trim().to_owned())
    }
}

#[test]
fn systemd_hears_when_it_is_ready_and_when_it_stops() {
    let manager = Manager::new().unwrap();
    let mut world = World::build(false, Home::new(), &[("NOTIFY_SOCKET", &manager.path())]);
    assert_eq!(manager.hears().unwrap(), "READY=1");
    // Ready means that the socket answers.
    world.inject("latency --ms 5 --port 9 --for 60s");
    assert!(world.take_daemon().stop().success());
    assert_eq!(manager.hears().unwrap(), "STOPPING=1");
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.hears().is_err(), "the guardian keeps silent");
}

#[test]
fn a_manager_that_is_gone_keeps_nobody_from_working() {
    let path = Manager::new().unwrap().path();
    let world = World::build(false, Home::new(), &[("NOTIFY_SOCKET", &path)]);
    world.inject("partition --port 9 --for 60s");
    assert!(world.home().log().contains("telling systemd"), "{}", world.home().log());
}

/// Lines of the log that the programs in the kernel wrote.
fn from_the_kernel(world: &World) -> Vec<String> {
    let log = world.home().log();
    log.lines().filter(|line| line.contains("faultd::bpf")).map(str::to_owned).collect()
}

#[test]
fn what_the_programs_do_to_packets_is_logged_at_debug_level() {
    // Everything, or the programs' words alone.
    for level in ["debug", "faultd::bpf=debug"] {
        let world = World::build(false, Home::new(), &[("FAULTD_LOG", level)]);
        world.inject("partition --port 9 --for 60s");
        world.inject("latency --ms 1 --port 10 --direction both --for 60s");
        for (port, said) in [(9, "dropped"), (10, "adds 1000000 ns")] {
            let to = ([127, 0, 0, 1], port).into();
            eventually(Duration::from_secs(5), "the programs' words arrive", || {
                // Nobody listens there: a refusal is as good as any answer.
                let _ = sender_to(to).send(b"hello");
                from_the_kernel(&world).iter().any(|l| l.contains("DEBUG") && l.contains(said))
            });
        }
    }
}

#[test]
fn otherwise_the_programs_say_nothing() {
    let world = World::new();
    let id = world.inject_id("partition --port 9 --for 60s");
    let _ = sender_to(([127, 0, 0, 1], 9).into()).send(b"hello");
    eventually(Duration::from_secs(5), "the packet is counted", || {
        world.show(&id)["counters"]["affected"].as_u64() > Some(0)
    });
    assert_eq!(from_the_kernel(&world), Vec::<String>::new());
}

#[test]
fn a_daemon_that_cannot_start_says_why_and_says_it_once() {
    let home = Home::new();
    std::fs::write(home.state(), "a file where the directory should be").unwrap();
    let outcome = Outcome::of(&mut home.command());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    let state = home.state().display().to_string();
    assert!(outcome.stderr.starts_with(&format!("faultd: {state}: ")), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert_eq!(outcome.stderr.matches("os error").count(), 1, "{outcome:?}");
}
