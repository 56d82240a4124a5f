//! Process descriptors: handles that never come to mean another process.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// A descriptor of a process; pidfd_open(2), Linux 5.3.
///
/// # Errors
/// `ESRCH` when there is no such process.
pub fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(fd)
}

/// A copy of another process's descriptor `fd`; pidfd_getfd(2), Linux 5.6.
///
/// # Errors
/// `EPERM` without the right to trace the process, `EBADF` when it has no such
/// descriptor.
pub fn get_fd(process: BorrowedFd<'_>, fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_getfd takes three integers; the first is an open pidfd.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) };
    owned(fd)
}

/// Sends a signal; pidfd_send_signal(2), Linux 5.1. Signal 0 only checks.
///
/// # Errors
/// `ESRCH` when the process has ended, `EPERM` when it may not be signalled.
pub fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: the first argument is an open pidfd and no siginfo is passed.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    let Ok(fd) = i32::try_from(fd) else { return Err(io::ErrorKind::InvalidData.into()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just returned this descriptor, close-on-exec, to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
