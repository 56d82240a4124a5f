//! The guard: a process that lets every call go on when the supervisor is gone.
//!
//! A filter cannot be taken off a process again, and its calls fail with ENOSYS
//! once nobody holds the listener. So a second process holds it too, sleeps, and
//! takes over when the supervisor dies, however that happens, or when it has
//! ended and the command left processes behind. It ends with the last of them.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl,
        signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork, pipe2, setsid},
};

use super::{
    listener::{Answer, Listener},
    shared::Shared,
};

/// The supervisor's end. Dropping it makes the guard take over.
#[derive(Debug)]
pub struct Guard {
    pid: Pid,
    _alive: OwnedFd,
}

impl Guard {
    /// Starts one.
    ///
    /// # Errors
    /// When the system has no room for one.
    pub fn start(listener: &Listener, shared: Shared) -> Result<Self, Errno> {
        let (theirs, ours) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        // SAFETY: this program has one thread, so the child may do anything.
        match unsafe { fork()? } {
            ForkResult::Parent { child } => Ok(Self { pid: child, _alive: ours }),
            ForkResult::Child => {
                drop(ours);
                watch(listener, shared, &theirs);
                // SAFETY: ends the process without the exit handlers of the other.
                unsafe { libc::_exit(0) }
            }
        }
    }

    /// Sends it away if no process has the filter any more, so that none is left
    /// for a container's first process to bury; else it stays until then.
    pub fn dismiss(self, listener: &Listener) {
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::empty())];
        let unused = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        if unused && kill(self.pid, Signal::SIGKILL).is_ok() {
            let _ = waitpid(self.pid, None);
        }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }
}

fn watch(listener: &Listener, shared: Shared, supervisor: &OwnedFd) {
    // What follows cannot fail in a way that matters: a guard that keeps its
    // terminal or a descriptor too many guards all the same.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    let _ = setsid();
    let _ = prctl::set_name(c"faultctl-guard");
    close_all_but([listener.as_fd().as_raw_fd(), supervisor.as_raw_fd()]);

    // Nothing is ever written: the end of the pipe is the supervisor's.
    wait(supervisor, PollFlags::empty());
    for id in shared.waiting() {
        listener.answer(id, Answer::Continue);
    }
    loop {
        let seen = wait(listener, PollFlags::POLLIN);
        if !seen.contains(PollFlags::POLLIN) {
            return; // POLLHUP: no process has the filter any more.
        }
        match listener.receive(shared.current()) {
            Ok(Some(call)) => {
                listener.answer(call.id, Answer::Continue);
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

fn wait(fd: &impl AsFd, events: PollFlags) -> PollFlags {
    loop {
        let mut fds = [PollFd::new(fd.as_fd(), events)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => return fds[0].revents().unwrap_or(PollFlags::empty()),
            Err(Errno::EINTR) => {}
            Err(_) => return PollFlags::empty(),
        }
    }
}

/// A pipe that the caller reads from must not stay open for the guard's sake.
fn close_all_but(mut keep: [RawFd; 2]) {
    keep.sort_unstable();
    let [low, high] = keep.map(|fd| libc::c_uint::try_from(fd).unwrap_or(0));
    let ranges =
        [(0, low.checked_sub(1)), (low + 1, high.checked_sub(1)), (high + 1, Some(u32::MAX))];
    for (first, last) in ranges {
        let Some(last) = last.filter(|last| *last >= first) else { continue };
        // SAFETY: nothing in this process uses the descriptors any more.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}
