//! Version 2: a limit below what the group cannot give back makes the kernel
//! kill at once (Linux mm/memcontrol.c, `memory_max_write`).

use std::{collections::HashMap, fs, time::Duration};

use super::{limits::Limits, step::Squeeze};
use crate::{engine::clock, fault::process::watch::Stop, host::cgroup::MemoryGroup};

const LIMIT: &str = "memory.max";
const SWAP_LIMIT: &str = "memory.swap.max";

/// The first attempt asks for no more than this; `memory.stat` may lag behind
/// by about as much (64 pages a processor).
const FIRST_STEP: u64 = 1 << 20;
/// Attempts, each asking for twice as much: the last asks for all there is.
const ATTEMPTS: u32 = 20;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Memory that no reclaim gives back once swap is closed, by its names in
/// `memory.stat`.
const KEPT: [&str; 8] = [
    "inactive_anon",
    "active_anon",
    "unevictable",
    "kernel_stack",
    "pagetables",
    "percpu",
    "sock",
    "slab_unreclaimable",
];

/// Lowers the limit until the kernel has killed, or it cannot be lowered.
///
/// # Errors
/// When a limit can be neither read nor changed.
pub fn squeeze(limits: &Limits, squeeze: &Squeeze, stop: &Stop) -> anyhow::Result<()> {
    limits.remember(LIMIT)?;
    if limits.group().dir().join(SWAP_LIMIT).is_file() {
        limits.remember(SWAP_LIMIT)?;
        limits.write(SWAP_LIMIT, 0)?;
    }
    for attempt in 0..ATTEMPTS {
        // A daemon that was stopped itself wakes up here, perhaps after its time.
        if clock::boot_ns() >= limits.expires_boot_ns() {
            return Ok(());
        }
        let kept = kept(&limits.group().stat()?);
        let limit = kept.saturating_sub(step(largest(limits.group())) << attempt);
        squeeze.lowered_to(limit);
        // Returns when the usage is below the limit, or nobody can be killed.
        limits.write(LIMIT, limit)?;
        squeeze.begun();
        if squeeze.has_killed() || stop.wait(PAUSE) || squeeze.has_killed() {
            return Ok(());
        }
    }
    Ok(())
}

fn kept(stat: &HashMap<String, u64>) -> u64 {
    KEPT.iter().filter_map(|name| stat.get(*name)).sum()
}

/// How much the first attempt takes away: little, so that one kill suffices.
fn step(largest: u64) -> u64 {
    (largest / 2).clamp(4096, FIRST_STEP)
}

/// Bytes of anonymous memory of the process that has most.
fn largest(group: &MemoryGroup) -> u64 {
    let members = group.members().unwrap_or_default();
    members.into_iter().map(anonymous).max().unwrap_or(0)
}

/// `RssAnon` of proc_pid_status(5), in bytes.
fn anonymous(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = field.and_then(|f| f.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_and_what_the_first_step_takes() {
        let stat = [("anon", 9), ("active_anon", 5), ("file", 7), ("slab_unreclaimable", 2)];
        let stat: HashMap<String, u64> = stat.map(|(name, n)| (name.to_owned(), n)).into();
        assert_eq!(kept(&stat), 7);
        assert_eq!([step(0), step(1 << 20), step(1 << 30)], [4096, 1 << 19, FIRST_STEP]);
        // The last attempt asks for more than any process has.
        const { assert!(4096_u64 << (ATTEMPTS - 1) >= 1 << 31) };
        assert!(anonymous(std::process::id()) > 0);
    }
}
