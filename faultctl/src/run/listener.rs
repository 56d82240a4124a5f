//! The supervisor's end of a seccomp filter (seccomp_unotify(2)).

use std::{
    mem::size_of,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    ptr,
};

use libc::{seccomp_data, seccomp_notif, seccomp_notif_resp, seccomp_notif_sizes};
use nix::errno::Errno;

/// Room for a notification of this kernel, which may know more fields than we
/// do. In memory that the guard shares; see [`super::shared`].
#[repr(C, align(8))]
pub struct Slot([u8; Slot::SIZE]);

impl Slot {
    const SIZE: usize = 512;
}

/// A system call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub struct Notification {
    /// Names it in the answer.
    pub id: u64,
    /// The thread that makes it.
    pub tid: u32,
    /// Number and arguments.
    pub data: seccomp_data,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is made.
    Continue,
    /// It fails with this error number.
    Fail(u16),
}

/// Receives the calls that the filter lets ask.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Takes over the descriptor that seccomp(2) returned.
    ///
    /// # Errors
    /// When this kernel's notifications are larger than expected, or it has none.
    pub fn new(fd: OwnedFd) -> Result<Self, Errno> {
        let mut sizes =
            seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
        // SAFETY: the kernel fills the structure given.
        let done = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes)
        };
        Errno::result(done)?;
        if usize::from(sizes.seccomp_notif) > Slot::SIZE
            || usize::from(sizes.seccomp_notif_resp) > size_of::<Reply>()
        {
            return Err(Errno::EOVERFLOW);
        }
        Ok(Self(fd))
    }

    /// Asks for quicker switches between the two processes, where the kernel
    /// has that (Linux 6.6).
    pub fn wake_up_synchronously(&self) {
        const SYNC_WAKE_UP: u64 = 1;
        let request = libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS;
        // SAFETY: takes a number. On other kernels it does nothing.
        unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, SYNC_WAKE_UP) };
    }

    /// The next call that waits. `None`: its process has gone meanwhile.
    ///
    /// The slot still names it after a SIGKILL: the kernel writes there before
    /// the caller of this runs on.
    ///
    /// # Errors
    /// When the kernel's end is gone.
    pub fn receive(&self, slot: *mut Slot) -> Result<Option<Notification>, Errno> {
        // SAFETY: the slot is valid for writes and has room for what this kernel
        // writes (checked in `new`); it has to be zero.
        let received = unsafe {
            ptr::write_bytes(slot, 0, 1);
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, slot)
        };
        match Errno::result(received) {
            Ok(_) => {}
            Err(Errno::ENOENT | Errno::EINTR) => return Ok(None),
            Err(e) => return Err(e),
        }
        // SAFETY: just written by the kernel; the slot is aligned and larger.
        let notif = unsafe { ptr::read(slot.cast::<seccomp_notif>()) };
        Ok(Some(Notification { id: notif.id, tid: notif.pid, data: notif.data }))
    }

    /// Whether the call still waits, so that its thread id still means its thread.
    pub fn is_waiting(&self, id: u64) -> bool {
        let request = libc::SECCOMP_IOCTL_NOTIF_ID_VALID;
        // SAFETY: reads the number given.
        let valid = unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, &raw const id) };
        valid == 0
    }

    /// Lets the call go on, or fail. `false`: nobody waits for that any more.
    pub fn answer(&self, id: u64, answer: Answer) -> bool {
        let (error, flags) = match answer {
            Answer::Continue => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Answer::Fail(number) => (-i32::from(number), 0),
        };
        let mut reply =
            Reply { known: seccomp_notif_resp { id, val: 0, error, flags }, rest: [0; 40] };
        let request = libc::SECCOMP_IOCTL_NOTIF_SEND;
        // SAFETY: the kernel reads the structure, whose size `new` has checked.
        let sent = unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, &raw mut reply) };
        sent == 0
    }
}

/// An answer, with room for fields that newer kernels may know.
#[repr(C)]
struct Reply {
    known: seccomp_notif_resp,
    rest: [u8; 40],
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
