//! Kills the daemon at a chosen journal write, for crash tests.
//!
//! `FAULTD_FAILPOINT=journal:N:before|after`: SIGKILL at the N-th write of an
//! entry, counted from 1. Compiled in for unit tests and with the `failpoints`
//! feature only.

#[cfg(not(any(test, feature = "failpoints")))]
mod imp {
    pub(in super::super) fn before_write() {}
    pub(in super::super) fn after_write() {}
}

#[cfg(any(test, feature = "failpoints"))]
mod imp {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    static POINT: OnceLock<Option<(u64, bool)>> = OnceLock::new();
    static WRITES: AtomicU64 = AtomicU64::new(0);

    fn point() -> Option<(u64, bool)> {
        *POINT.get_or_init(|| {
            let text = std::env::var("FAULTD_FAILPOINT").ok()?;
            let (number, when) = text.strip_prefix("journal:")?.split_once(':')?;
            let after = match when {
                "before" => false,
                "after" => true,
                _ => return None,
            };
            Some((number.parse().ok()?, after))
        })
    }

    pub(in super::super) fn before_write() {
        let number = WRITES.fetch_add(1, Ordering::SeqCst) + 1;
        die_if(point() == Some((number, false)));
    }

    pub(in super::super) fn after_write() {
        die_if(point() == Some((WRITES.load(Ordering::SeqCst), true)));
    }

    fn die_if(now: bool) {
        // SIGKILL needs no handler and leaves no chance to tidy up, which is
        // the point; the signal is pending before kill(2) returns.
        if now && kill(Pid::this(), Signal::SIGKILL).is_ok() {
            loop {
                std::thread::park();
            }
        }
    }
}

pub(super) use imp::{after_write, before_write};
