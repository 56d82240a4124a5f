//! Rules that name the owners of sockets, on real sockets: cgroups, users and
//! processes with their children.
//!
//! Each test has a process of its own, a shell that sends datagrams on demand,
//! so that nothing else on the machine is ever hit.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, UdpSocket},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use faultd_api::{Direction, Proto};

use super::{
    super::{Hooks, RuleSpec, Scope},
    harness::{Bench, rule},
};

/// A process that sends when it is told to: by a socket that it has had all
/// along (`old`), by a new one (`new`), or by a child (`child`).
const SENDER: &str = r#"
import os, socket, sys
port = int(sys.argv[1])
to = ("127.0.0.1", port)
old = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("ready", flush=True)
for line in sys.stdin:
    how = line.strip()
    if how == "old":
        old.sendto(b"old", to)
    elif how == "new":
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"new", to)
    elif how == "child":
        pid = os.fork()
        if pid == 0:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"child", to)
            os._exit(0)
        os.waitpid(pid, 0)
    print("sent", flush=True)
"#;

struct Sender {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Sender {
    fn start(bench: &Bench, port: u16) -> Self {
        let spawn = || {
            Command::new("python3")
                .args(["-c", SENDER, &port.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
        };
        let mut child = bench.netns.run(spawn).unwrap().unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut sender = Self { child, orders, answers };
        sender.wait_for("ready");
        sender
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_for(&mut self, answer: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), answer);
    }

    fn send(&mut self, how: &str) {
        writeln!(self.orders, "{how}").unwrap();
        self.wait_for("sent");
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

struct Wire {
    bench: Bench,
    receiver: UdpSocket,
    port: u16,
}

impl Wire {
    fn new() -> Option<Self> {
        let bench = Bench::new()?;
        let up = || Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(bench.netns.run(up).unwrap().unwrap().success());
        let receiver =
            bench.netns.run(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).unwrap().unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let port = receiver.local_addr().unwrap().port();
        Some(Self { bench, receiver, port })
    }

    fn arrives(&self, sender: &mut Sender, how: &str) -> bool {
        sender.send(how);
        let mut buffer = [0; 16];
        match self.receiver.recv(&mut buffer) {
            Ok(n) => {
                assert_eq!(&buffer[..n], how.as_bytes());
                true
            }
            Err(_) => false,
        }
    }

    fn rule(&self, scope: Scope) -> RuleSpec {
        RuleSpec {
            hooks: Hooks::owned(Direction::Egress),
            proto: Some(Proto::Udp),
            remote_port: Some(faultd_api::PortSet::single(self.port)),
            scope,
            ..rule()
        }
    }
}

#[test]
fn a_process_with_its_sockets_and_children_and_nobody_else() {
    let Some(wire) = Wire::new() else { return };
    let mut target = Sender::start(&wire.bench, wire.port);
    let mut other = Sender::start(&wire.bench, wire.port);
    let scope = Scope::Pids(vec![target.pid()]);
    let slot = wire.bench.plane.add(&wire.rule(scope.clone())).unwrap();
    for how in ["old", "new", "child"] {
        assert!(!wire.arrives(&mut target, how), "{how} of the target");
        assert!(wire.arrives(&mut other, how), "{how} of another process");
    }
    assert_eq!(wire.bench.plane.counters(slot).affected, 3);
    // A second rule for one of them, and the first one's end.
    let both = Scope::Pids(vec![target.pid(), other.pid()]);
    let second = wire.bench.plane.add(&wire.rule(both)).unwrap();
    assert!(!wire.arrives(&mut other, "new"));
    assert!(!wire.arrives(&mut target, "child"));
    wire.bench.plane.remove(slot).unwrap();
    assert!(!wire.arrives(&mut target, "old"));
    wire.bench.plane.remove(second).unwrap();
    for how in ["old", "new", "child"] {
        assert!(wire.arrives(&mut target, how), "{how} after the rules");
    }
    assert!(wire.bench.plane.attachments().is_empty());
    assert_eq!(wire.bench.plane.notes(), []);
}

/// A cgroup of the test's own, below the root of cgroup v2.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
        let root = PathBuf::from(line.split(' ').nth(4)?);
        let path = root.join(format!("faultd-test-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Some(Self(path))
    }

    fn id(&self) -> u64 {
        fs::metadata(&self.0).unwrap().ino()
    }

    fn adopt(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The processes in it have been waited for; the kernel may take a
        // moment longer.
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{} is left behind", self.0.display());
    }
}

#[test]
fn a_cgroup_in_either_direction() {
    let Some(wire) = Wire::new() else { return };
    let Some(cgroup) = Cgroup::new("owners") else {
        return crate::host::test_support::skipped("cgroup v2 is not mounted");
    };
    let mut inside = Sender::start(&wire.bench, wire.port);
    let mut outside = Sender::start(&wire.bench, wire.port);
    cgroup.adopt(inside.pid());
    let scope = Scope::Cgroup { id: cgroup.id(), level: 1 };
    let egress = wire.rule(scope.clone());
    wire.bench.with_rule(&egress, |_| {
        // A socket stays in the cgroup that it was made in.
        assert!(wire.arrives(&mut inside, "old"));
        assert!(!wire.arrives(&mut inside, "new"));
        assert!(!wire.arrives(&mut inside, "child"));
        assert!(wire.arrives(&mut outside, "new"));
    });
    // The other way round: the receiver is the target.
    let receiver = Sender::start(&wire.bench, wire.port);
    cgroup.adopt(receiver.pid());
    let mut ingress = wire.rule(scope);
    ingress.hooks = Hooks::owned(Direction::Ingress);
    ingress.remote_port = None;
    let counted = wire.bench.with_rule(&ingress, |_| {
        assert!(wire.arrives(&mut outside, "new"), "this receiver is not in the cgroup");
    });
    assert_eq!(counted.matched, 0);
    drop((inside, receiver));
}

#[test]
fn packets_for_a_process_are_dropped_at_its_socket() {
    let Some(wire) = Wire::new() else { return };
    let mut sender = Sender::start(&wire.bench, wire.port);
    let mut spec = wire.rule(Scope::Pids(vec![std::process::id()]));
    spec.hooks = Hooks::owned(Direction::Ingress);
    spec.remote_port = None;
    spec.local_port = Some(faultd_api::PortSet::single(wire.port));
    let counted = wire.bench.with_rule(&spec, |_| {
        assert!(!wire.arrives(&mut sender, "new"), "the receiver is this process");
    });
    assert_eq!((counted.matched, counted.affected), (1, 1));
    assert!(wire.arrives(&mut sender, "new"));
}

#[test]
fn a_user() {
    let Some(wire) = Wire::new() else { return };
    let mut sender = Sender::start(&wire.bench, wire.port);
    wire.bench.with_rule(&wire.rule(Scope::Uid(0)), |_| {
        assert!(!wire.arrives(&mut sender, "new"));
    });
    wire.bench.with_rule(&wire.rule(Scope::Uid(4242)), |_| {
        assert!(wire.arrives(&mut sender, "new"));
    });
}
