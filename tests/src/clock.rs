//! The clocks that the tests read.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC in nanoseconds, the clock of `active_mono_ns`.
pub fn mono_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

/// CLOCK_BOOTTIME in nanoseconds, the clock of deadlines.
pub fn boot_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_BOOTTIME)
}

/// Milliseconds as nanoseconds.
pub fn ms(value: f64) -> u64 {
    Duration::from_secs_f64(value / 1e3).as_nanos() as u64
}

/// Nanoseconds as milliseconds.
pub fn to_ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).expect("clock_gettime");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}
