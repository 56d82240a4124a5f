//! In the real root: what a booted machine has, without an init system.

use std::fs;

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::stat::{Mode, SFlag, makedev, mknod},
};

use crate::boot::mount_special;

const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// Mounts, device nodes, cgroup controllers, loopback.
pub fn prepare() -> Result<()> {
    mount_special("sysfs", "/sys")?;
    for dir in ["/run", "/tmp"] {
        mount_special("tmpfs", dir)?;
    }
    mount_special("devpts", "/dev/pts")?;
    mount_special("tmpfs", "/dev/shm")?;
    mount_special("cgroup2", CGROUP_ROOT)?;
    static_nodes().context("making device nodes")?;
    // Kernels are built without one or the other of these.
    for (kind, on) in [
        ("bpf", "/sys/fs/bpf"),
        ("debugfs", "/sys/kernel/debug"),
        ("tracefs", "/sys/kernel/tracing"),
        ("securityfs", "/sys/kernel/security"),
    ] {
        let mounted = mount(Some(kind), on, Some(kind), MsFlags::empty(), None::<&str>);
        match mounted {
            Ok(()) | Err(Errno::ENODEV | Errno::ENOENT | Errno::EBUSY) => {}
            Err(error) => return Err(error).with_context(|| format!("{kind} on {on}")),
        }
    }
    enable_controllers()?;
    loopback_up().context("bringing lo up")
}

/// The device node of a driver that loads when the node is opened; an init system makes it from
/// `modules.devname` (kmod-static-nodes.service).
fn static_nodes() -> Result<()> {
    fs::create_dir_all("/dev/net")?;
    let (kind, mode) = (SFlag::S_IFCHR, Mode::from_bits_truncate(0o666));
    match mknod("/dev/net/tun", kind, mode, makedev(10, 200)) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// An init system would delegate all controllers to the first level.
fn enable_controllers() -> Result<()> {
    let controllers = fs::read_to_string(format!("{CGROUP_ROOT}/cgroup.controllers"))?;
    for controller in controllers.split_whitespace() {
        fs::write(format!("{CGROUP_ROOT}/cgroup.subtree_control"), format!("+{controller}"))
            .with_context(|| format!("enabling the {controller} controller"))?;
    }
    Ok(())
}

fn loopback_up() -> Result<()> {
    use nix::{libc, sys::socket};
    use std::os::fd::AsRawFd;

    let socket = socket::socket(
        socket::AddressFamily::Inet,
        socket::SockType::Datagram,
        socket::SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: an ifreq of zeroes is valid: an empty name and no flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes_with_nul()) {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    Errno::result(result)?;
    Ok(())
}
