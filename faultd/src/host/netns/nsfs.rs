//! What the kernel tells about a namespace through its descriptors.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Whether a descriptor is one of a network namespace.
pub(super) fn is_net_namespace(fd: BorrowedFd<'_>) -> bool {
    // Linux include/uapi/linux/nsfs.h: NS_GET_NSTYPE = _IO(0xb7, 0x3).
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the descriptor is open and the request takes no argument.
    unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) == libc::CLONE_NEWNET }
}

/// The cookie of the calling thread's namespace; `None` before Linux 5.14.
pub(super) fn thread_cookie() -> Option<u64> {
    // Linux include/uapi/asm-generic/socket.h
    const SO_NETNS_COOKIE: libc::c_int = 71;
    let probe =
        socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).ok()?;
    let mut cookie = 0u64;
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: `cookie` and `len` are valid for writes of what `len` says.
    let rc = unsafe {
        libc::getsockopt(
            probe.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut len,
        )
    };
    (rc == 0).then_some(cookie)
}
