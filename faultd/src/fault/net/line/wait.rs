//! Waking up in time.
//!
//! A sleeping thread wakes late by what the timer, the idle CPU and the
//! scheduler take, on virtual machines 50 µs and more. So the sleep before a
//! deadline ends early by what wake-ups have been seen to cost, and the rest
//! is spun away.

use std::{
    os::fd::BorrowedFd,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};

use crate::engine::clock::boot_ns;

/// Longest time that is spent spinning before a deadline.
const SPIN_MAX_NS: u64 = 80_000;

/// What a wake-up is taken to cost until some have been seen.
const FIRST_GUESS_NS: u64 = 50_000;

/// Waits, and learns what waking up costs.
#[derive(Debug)]
pub(super) struct Waiter {
    wake_cost_ns: u64,
}

impl Waiter {
    pub const fn new() -> Self {
        Self { wake_cost_ns: FIRST_GUESS_NS }
    }

    /// Returns at `until` (CLOCK_BOOTTIME), or earlier when one of `sources`
    /// can be read. With `exact` it may return somewhat early so that the next
    /// call can spin; a thread that calls again and again misses nothing.
    pub fn wait(
        &mut self,
        until: u64,
        exact: bool,
        sources: &[BorrowedFd<'_>],
        called: &AtomicBool,
    ) {
        let now = boot_ns();
        let early = if exact { self.wake_cost_ns } else { 0 };
        if until <= now {
            return;
        }
        if until - now <= early {
            while boot_ns() < until && !called.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            return;
        }
        let wake_at = until - early;
        if sleep(Duration::from_nanos(wake_at - now), sources) {
            self.learn(boot_ns().saturating_sub(wake_at));
        }
    }

    /// Follows the cost of wake-ups: up quickly, down slowly.
    fn learn(&mut self, late_ns: u64) {
        let late = late_ns.min(SPIN_MAX_NS);
        let cost = self.wake_cost_ns;
        self.wake_cost_ns =
            if late > cost { cost + (late - cost) / 4 } else { cost - (cost - late) / 64 };
    }
}

/// True when the time ran out, false when something came (or a signal).
///
/// The time is relative and does not pass while the machine is suspended; the
/// heartbeat bounds how much later than the boot-time clock says it ends.
fn sleep(time: Duration, sources: &[BorrowedFd<'_>]) -> bool {
    let mut fds: Vec<PollFd<'_>> =
        sources.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    matches!(ppoll(&mut fds, Some(TimeSpec::from_duration(time)), None), Ok(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_waking_is_followed_within_bounds() {
        let mut waiter = Waiter::new();
        for _ in 0..1000 {
            waiter.learn(20_000);
        }
        assert!((20_000..21_000).contains(&waiter.wake_cost_ns), "{waiter:?}");
        for _ in 0..20 {
            waiter.learn(10_000_000);
        }
        assert!((70_000..=SPIN_MAX_NS).contains(&waiter.wake_cost_ns), "{waiter:?}");
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let called = AtomicBool::new(false);
        let mut waiter = Waiter::new();
        let until = boot_ns() + 3_000_000;
        while boot_ns() < until {
            waiter.wait(until, true, &[], &called);
        }
        assert!(boot_ns() - until < 1_000_000_000);
    }

    #[test]
    fn a_call_ends_the_spinning() {
        let called = AtomicBool::new(true);
        let mut waiter = Waiter { wake_cost_ns: u64::MAX };
        let until = boot_ns() + 3_600_000_000_000;
        waiter.wait(until, true, &[], &called);
        assert!(boot_ns() < until);
    }
}
