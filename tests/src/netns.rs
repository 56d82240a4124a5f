//! Private network namespaces: one for the test, one for its peer.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    process, thread,
    time::Duration,
};

use nix::sched::{CloneFlags, setns, unshare};

use crate::{command::run, eventually};

/// Address of the test's end of the veth pair.
pub const HERE_V4: &str = "10.77.0.1";
/// Address of the peer's end.
pub const PEER_V4: &str = "10.77.0.2";
/// IPv6 address of the test's end.
pub const HERE_V6: &str = "fd77::1";
/// IPv6 address of the peer's end.
pub const PEER_V6: &str = "fd77::2";
/// Name of the test's end.
pub const HERE_DEV: &str = "veth0";
/// Name of the peer's end.
pub const PEER_DEV: &str = "veth1";

/// A fresh network namespace that the calling thread has entered, loopback up.
/// Dropped, the thread returns to where it came from, and the namespace goes
/// with its last socket and process.
pub struct Netns {
    origin: File,
    here: File,
}

impl Netns {
    /// Makes a namespace and enters it.
    ///
    /// # Panics
    /// Without the privilege to do so.
    pub fn enter() -> Self {
        let origin = current();
        unshare(CloneFlags::CLONE_NEWNET)
            .expect("unshare(CLONE_NEWNET): the tests of this tier need root");
        run("ip link set lo up");
        Self { origin, here: current() }
    }

    /// Another namespace, joined to this one by a veth pair with IPv4 and IPv6
    /// addresses at both ends.
    pub fn peer(&self) -> Peer {
        let peer = Peer::new();
        run(&format!(
            "ip link add {HERE_DEV} type veth peer name {PEER_DEV} netns {}",
            peer.path()
        ));
        address(HERE_DEV, HERE_V4, HERE_V6);
        peer.run(|| address(PEER_DEV, PEER_V4, PEER_V6));
        // The carrier comes a moment after the second end is up.
        eventually(Duration::from_secs(5), "the veth pair has a carrier", || {
            let has_carrier = || !run("ip route show table all").contains("linkdown");
            has_carrier() && peer.run(has_carrier)
        });
        peer
    }

    /// A path under which `ip … netns` and setns(2) find it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.here.as_raw_fd())
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Err(e) = setns(&self.origin, CloneFlags::CLONE_NEWNET) {
            // The thread would go on in the wrong namespace.
            eprintln!("could not leave the test's namespace: {e}");
            process::abort();
        }
    }
}

/// A second namespace, which nobody lives in.
pub struct Peer {
    namespace: File,
}

impl Peer {
    /// A namespace of its own, loopback up, not joined to anything.
    #[expect(clippy::new_without_default, reason = "making a namespace is no default value")]
    pub fn new() -> Self {
        let namespace = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("unshare(CLONE_NEWNET)");
            run("ip link set lo up");
            current()
        });
        Self { namespace: namespace.join().expect("the peer's namespace") }
    }

    /// Runs something inside. Sockets made and processes started there stay
    /// there, so a server is bound inside and served anywhere.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                setns(&self.namespace, CloneFlags::CLONE_NEWNET).expect("setns to the peer");
                inside()
            });
            match worker.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A path under which `ip … netns` and setns(2) find it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.namespace.as_raw_fd())
    }
}

/// Brings a device up with addresses that work at once.
fn address(dev: &str, v4: &str, v6: &str) {
    // Without duplicate address detection; it would take two seconds.
    fs::write(format!("/proc/sys/net/ipv6/conf/{dev}/accept_dad"), "0").expect("accept_dad");
    run(&format!("ip address add {v4}/24 dev {dev}"));
    run(&format!("ip address add {v6}/64 dev {dev} nodad"));
    run(&format!("ip link set {dev} up"));
}

fn current() -> File {
    File::open("/proc/thread-self/ns/net").expect("/proc/thread-self/ns/net")
}
