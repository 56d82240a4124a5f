//! The TAP device that the classifier redirects to.
//!
//! It is not persistent: it vanishes when its descriptor is closed, however
//! the process ends. It carries nothing of its own: no ARP, no IPv6 (which
//! would send router solicitations and multicast reports), no addresses.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::fs::OpenOptionsExt as _,
    },
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::host::{
    netns::Netns,
    tc::{Handle, QdiscSpec, Tc},
};

/// What the names of our TAPs start with; the kernel adds a number.
pub(super) const NAME_PREFIX: &str = "faultd";

/// Largest MTU of a TAP: 65535 less an Ethernet header (`drivers/net/tun.c`).
const MTU: libc::c_int = 65_521;

/// Frames that the TAP's ring holds between two turns of the line's thread.
/// At a million frames a second this is 16 ms.
const RING_FRAMES: libc::c_int = 16_384;

/// Checksum and segmentation offloads, so that whole GSO frames pass.
const OFFLOADS: libc::c_uint =
    libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;

/// UDP segmentation offload, from Linux 6.2 on.
const OFFLOADS_UDP: libc::c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;

/// A step of making a TAP that failed.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}")]
pub struct TapError {
    /// The call.
    step: &'static str,
    /// The system's answer.
    source: io::Error,
}

fn at(step: &'static str) -> impl FnOnce(io::Error) -> TapError {
    move |source| TapError { step, source }
}

/// A TAP device, up. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Tap {
    file: fs::File,
    ifindex: u32,
}

impl Tap {
    /// Makes one in a network namespace.
    pub fn create(netns: &Netns) -> Result<Self, TapError> {
        netns.run(|| Self::create_here(netns)).map_err(at("enter the namespace"))?
    }

    fn create_here(netns: &Netns) -> Result<Self, TapError> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .map_err(at("open /dev/net/tun"))?;
        let mut request = Request::new(format!("{NAME_PREFIX}%d").as_bytes());
        request.0.ifr_ifru.ifru_flags =
            (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
        request.call(&file, libc::TUNSETIFF).map_err(at("TUNSETIFF"))?;
        set_offloads(&file).map_err(at("TUNSETOFFLOAD"))?;

        let control = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
            .map_err(|errno| at("socket")(errno.into()))?;
        disable_ipv6(&request.name()).map_err(at("disable_ipv6"))?;
        request.0.ifr_ifru.ifru_mtu = MTU;
        request.call(&control, libc::SIOCSIFMTU).map_err(at("SIOCSIFMTU"))?;
        // The union has no member of its own for it: `ifr_qlen` is an int too.
        request.0.ifr_ifru.ifru_mtu = RING_FRAMES;
        request.call(&control, libc::SIOCSIFTXQLEN).map_err(at("SIOCSIFTXQLEN"))?;
        request.call(&control, libc::SIOCGIFINDEX).map_err(at("SIOCGIFINDEX"))?;
        // SAFETY: SIOCGIFINDEX succeeded, so the union holds the index.
        let ifindex = unsafe { request.0.ifr_ifru.ifru_ifindex };
        let ifindex =
            u32::try_from(ifindex).map_err(|_| at("SIOCGIFINDEX")(io::ErrorKind::Other.into()))?;
        forgo_queue(netns, ifindex);
        request.0.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_NOARP) as libc::c_short;
        request.call(&control, libc::SIOCSIFFLAGS).map_err(at("SIOCSIFFLAGS"))?;
        Ok(Self { file, ifindex })
    }

    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Reads one frame. `None` when there is none.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.file).read(buffer) {
            Ok(0) => Ok(None),
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands the kernel a frame as if it had come in on this device.
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        (&self.file).write(frame).map(drop)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn set_offloads(file: &fs::File) -> io::Result<()> {
    let set = |flags: libc::c_uint| {
        // SAFETY: TUNSETOFFLOAD takes its flags by value.
        let rc = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETOFFLOAD, flags) };
        if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    set(OFFLOADS | OFFLOADS_UDP).or_else(|_| set(OFFLOADS))
}

/// The TAP's ring is queue enough. The default qdisc would only cost time, and
/// one like fq would hold packets by itself; it is what remains if the kernel
/// refuses.
fn forgo_queue(netns: &Netns, ifindex: u32) {
    let result = Tc::open(netns)
        .and_then(|mut tc| tc.add_qdisc(ifindex, Handle::ROOT, Handle::NONE, &QdiscSpec::Noqueue));
    if let Err(error) = result {
        tracing::debug!(%error, "delay line: the TAP keeps its default queue");
    }
}

/// Where the kernel has no IPv6 there is nothing to disable.
fn disable_ipv6(device: &str) -> io::Result<()> {
    match fs::write(format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6"), "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// `struct ifreq`, netdevice(7).
struct Request(libc::ifreq);

impl Request {
    fn new(name: &[u8]) -> Self {
        // SAFETY: plain data, for which zero is a valid value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name) {
            *to = *from as libc::c_char;
        }
        Self(request)
    }

    /// The name, once the kernel has filled it in.
    fn name(&self) -> String {
        let bytes = self.0.ifr_name.iter().map(|&c| c as u8).take_while(|&c| c != 0);
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
    }

    fn call(&mut self, fd: &impl AsRawFd, request: libc::Ioctl) -> io::Result<()> {
        // SAFETY: each request used here reads or writes one `struct ifreq`,
        // which `self.0` is.
        let rc = unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut self.0) };
        if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
