//! A process that is held: signals reach it or nobody.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{pidfd, stat::Stat};

/// A process by descriptor, so that its id may be reused without harm.
#[derive(Debug)]
pub struct Held {
    /// The descriptor.
    pub pidfd: OwnedFd,
    /// Process id, for messages.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
}

impl Held {
    /// Takes hold of the process that had `pid` and started at `start_time`.
    ///
    /// # Errors
    /// `NotFound` when that one has ended, whoever has its id now.
    pub fn open(pid: u32, start_time: u64) -> io::Result<Self> {
        let pidfd = pidfd::open(pid).map_err(|e| match e.raw_os_error() {
            Some(libc::ESRCH) => io::ErrorKind::NotFound.into(),
            _ => e,
        })?;
        // Looked at after the descriptor is open: the id stays with the
        // process that it refers to until that has ended.
        if Stat::read(pid)?.start_time != start_time {
            return Err(io::ErrorKind::NotFound.into());
        }
        let held = Self { pidfd, pid, start_time };
        if held.is_alive() { Ok(held) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Whether it has not ended.
    pub fn is_alive(&self) -> bool {
        !self.wait(Duration::ZERO)
    }

    /// Waits until it has ended, at most `limit`; whether it has.
    pub fn wait(&self, limit: Duration) -> bool {
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        // Interrupted counts as "not yet".
        poll(&mut fds, limit).is_ok_and(|ready| ready > 0)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `ESRCH` when it has ended.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        pidfd::send_signal(self.pidfd.as_fd(), signal)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn of_a_child() -> io::Result<()> {
        let mut child = Command::new("sleep").arg("60").spawn()?;
        let start_time = Stat::read(child.id())?.start_time;
        let other = Held::open(child.id(), start_time + 1).map_err(|e| e.kind());
        assert_eq!(other.err(), Some(io::ErrorKind::NotFound));
        let held = Held::open(child.id(), start_time)?;
        assert!(held.is_alive());
        assert!(!held.wait(Duration::from_millis(1)));
        held.signal(libc::SIGKILL)?;
        assert!(held.wait(Duration::from_secs(10)));
        // A zombie has ended.
        assert!(!held.is_alive());
        assert!(Held::open(child.id(), start_time).is_err());
        child.wait()?;
        assert_eq!(held.signal(0).err().and_then(|e| e.raw_os_error()), Some(libc::ESRCH));
        Ok(())
    }
}
