//! Clocks and the machine's identity across reboots.

use std::{fs, io};

use jiff::{Timestamp, Unit};
use nix::time::{ClockId, clock_gettime};

/// CLOCK_BOOTTIME in nanoseconds: counts on while the machine sleeps, so a
/// deadline holds across a suspend. What `bpf_ktime_get_boot_ns` returns.
pub fn boot_ns() -> u64 {
    read(ClockId::CLOCK_BOOTTIME)
}

/// CLOCK_MONOTONIC in nanoseconds: what a load tool on this host stamps with.
pub fn mono_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

fn read(clock: ClockId) -> u64 {
    #[expect(clippy::expect_used, reason = "clock_gettime(2) cannot fail on these clocks")]
    let now = clock_gettime(clock).expect("CLOCK_BOOTTIME and CLOCK_MONOTONIC exist since 2.6.39");
    let secs = u64::try_from(now.tv_sec()).unwrap_or(0);
    secs * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0)
}

/// The time of day to the millisecond, for people; finer stamps are those of
/// the other clocks.
pub fn wall() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}

/// One moment, for people and for programs on this host.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// See [`wall`].
    pub wall: Timestamp,
    /// See [`mono_ns`].
    pub mono_ns: u64,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { wall: wall(), mono_ns: mono_ns() }
    }
}

/// Identifies this boot of the machine (random(4)).
///
/// # Errors
/// When procfs is not mounted.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}
