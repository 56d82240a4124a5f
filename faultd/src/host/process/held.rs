//! A process that is held: signals reach it or nobody.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use super::{pidfd, stat::Stat};

/// A process by id and start time: a name that outlasts descriptors and is
/// never given to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
}

impl ProcessRef {
    /// Takes hold of it.
    ///
    /// # Errors
    /// `NotFound` when it has ended, whoever has its id now.
    pub fn hold(self) -> io::Result<Held> {
        Held::open(self.pid, self.start_time)
    }

    /// Sends it a signal; one that has ended is passed over.
    ///
    /// # Errors
    /// When it may not be signalled, or no descriptor is left for it.
    pub fn signal(self, signal: i32) -> io::Result<()> {
        let sent = self.hold().and_then(|held| held.signal(signal));
        match sent {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            other => other,
        }
    }

    /// Its state letter in proc_pid_stat(5); `None` when it has ended.
    pub fn state(self) -> Option<char> {
        let stat = Stat::read(self.pid).ok()?;
        (stat.start_time == self.start_time && !stat.is_dead()).then_some(stat.state)
    }
}

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
