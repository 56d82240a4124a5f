//! A line with a classifier that feeds it.

use std::{fs::File, os::fd::AsRawFd as _, time::Duration};

use faultd::{
    engine::journal::Journal,
    fault::net::line::{Line, LineConfig, OriginKind},
    host::netns::Netns,
};
use faultd_abi::DEFAULT_BYPASS_MARK as MARK;
use tempfile::TempDir;

use crate::classifier::{Attached, Delay, Hook, Match, attach_delay, attach_pass_on};

/// The one rule of these tests.
pub const SLOT: u16 = 1;

/// Whether these tests can run here; says why not.
pub fn privileged() -> bool {
    nix::unistd::geteuid().is_root() && std::path::Path::new("/dev/net/tun").exists()
}

/// Ends a test that needs what is not there.
macro_rules! needs_privilege {
    () => {
        if !crate::setup::privileged() {
            faultd_tests::skip!("needs root and /dev/net/tun");
        }
    };
}
pub(crate) use needs_privilege;

/// A running line and the classifiers that feed it; these go first.
pub struct Running {
    pub classifiers: Vec<Attached>,
    pub line: Line,
    _state: TempDir,
}

impl Running {
    /// A line in the calling thread's namespace, with `max_bytes` of memory.
    pub fn bounded(max_bytes: usize) -> Self {
        let state = TempDir::new().unwrap();
        let config = LineConfig {
            netns: Netns::current().unwrap(),
            mark: MARK,
            journal: Journal::open(state.path()).unwrap().0,
            heartbeat: Box::new(|_| ()),
            max_bytes,
        };
        let line = Line::start(config).unwrap();
        line.open(SLOT, u64::MAX).unwrap();
        Self { classifiers: Vec::new(), line, _state: state }
    }

    pub fn new() -> Self {
        Self::bounded(256 << 20)
    }

    /// Delays some of what leaves by a device.
    pub fn egress(mut self, device: &str, which: Match, time: Duration) -> Self {
        let ifindex = ifindex(device);
        let lo = device == "lo";
        let kind = if lo { OriginKind::Loopback } else { OriginKind::Ethernet };
        self.line.add_origin(1, ifindex, kind, u64::MAX).unwrap();
        self.attach(ifindex, Hook::Egress, 1, which, time);
        self
    }

    /// Delays some of what comes in by a device.
    pub fn ingress(mut self, device: &str, which: Match, time: Duration) -> Self {
        let ifindex = ifindex(device);
        let tap = self.line.add_origin(2, ifindex, OriginKind::Ingress, u64::MAX).unwrap();
        self.classifiers.push(attach_pass_on(tap.unwrap(), ifindex, MARK).unwrap());
        self.attach(ifindex, Hook::Ingress, 2, which, time);
        self
    }

    /// Delays everything that leaves by a device without a link layer.
    pub fn bare_egress(mut self, device: &str, time: Duration) -> Self {
        let ifindex = ifindex(device);
        self.line.add_origin(3, ifindex, OriginKind::L3, u64::MAX).unwrap();
        self.attach(ifindex, Hook::Egress, 3, Match::Any, time);
        self
    }

    fn attach(&mut self, ifindex: u32, hook: Hook, origin: u16, which: Match, time: Duration) {
        let delay = Delay {
            tap: self.line.tap_ifindex(),
            mark: MARK,
            delay_us: time.as_micros().try_into().unwrap(),
            slot: SLOT,
            origin,
            in_place: ifindex == faultd_abi::LOOPBACK_IFINDEX,
            which,
        };
        self.classifiers.push(attach_delay(ifindex, hook, &delay).unwrap());
    }
}

pub fn ifindex(device: &str) -> u32 {
    nix::net::if_::if_nametoindex(device).unwrap()
}

/// Interfaces of the calling thread's namespace that are the line's.
pub fn taps() -> usize {
    let links = faultd_tests::command::json("ip -json link show");
    let named = |link: &&serde_json::Value| {
        link["ifname"].as_str().is_some_and(|name| name.starts_with("faultd"))
    };
    links.as_array().unwrap().iter().filter(named).count()
}

/// A TUN device of that name: what leaves by it is read here.
pub fn tun(name: &str) -> File {
    let file = File::options().read(true).write(true).open("/dev/net/tun").unwrap();
    // SAFETY: plain data, for which zero is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF takes a `struct ifreq`, which `request` is.
    let rc = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    assert_eq!(rc, 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
    file
}
