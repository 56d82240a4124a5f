//! Ctrl-C (and the other polite ways to end a program) as something to wait
//! for, so that a command can clean up first.

use std::{io, os::fd::AsFd, time::Duration};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};

use crate::failure::Failure;

/// While this lives, SIGINT, SIGTERM and SIGHUP end no command by themselves.
#[derive(Debug)]
pub struct Interrupt {
    signals: SignalFd,
}

impl Interrupt {
    /// From here on the signals wait to be asked for.
    pub fn install() -> Result<Self, Failure> {
        let mask: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        mask.thread_block().map_err(failed)?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&mask, flags).map_err(failed)?;
        Ok(Self { signals })
    }

    /// Sleeps for `limit`, or until a signal comes, and says which.
    pub fn within(&self, limit: Duration) -> Result<Option<u8>, Failure> {
        let limit = limit.min(Duration::from_secs(3600));
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        // Rounded up: a sleep that ends early would make the caller spin.
        let millis = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).saturating_add(1);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(failed(e)),
        }
        self.taken()
    }

    /// Whether a signal has come.
    pub fn taken(&self) -> Result<Option<u8>, Failure> {
        let signal = self.signals.read_signal().map_err(failed)?;
        Ok(signal.and_then(|info| u8::try_from(info.ssi_signo).ok()))
    }
}

fn failed(e: Errno) -> Failure {
    Failure::File { what: "cannot watch signals".into(), source: io::Error::from(e) }
}
