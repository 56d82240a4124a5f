//! Version 1: the kernel refuses a limit below the usage (Linux
//! mm/memcontrol-v1.c, `mem_cgroup_resize_max`). The limit goes as low as it
//! takes it, and a process of ours in the group asks for more memory.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;

use super::{
    limits::{Limits, host_has_swap},
    step::Squeeze,
};
use crate::{engine::clock, fault::process::watch::Stop, host::cgroup::MemoryGroup};

const LIMIT: &str = "memory.limit_in_bytes";
const USAGE: &str = "memory.usage_in_bytes";
const SWAP_LIMIT: &str = "memory.memsw.limit_in_bytes";
const SWAP_USAGE: &str = "memory.memsw.usage_in_bytes";
const SWAPPINESS: &str = "memory.swappiness";

const PAGE: u64 = 4096;
/// What the usage may grow by between reading it and setting a limit; doubled
/// at each further try.
const SLACK: u64 = 16 * PAGE;
const TRIES: u32 = 12;
/// How often to look whether the kernel has killed.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long after a kill the process that charges memory may take to end.
const DUE: Duration = Duration::from_secs(1);

/// Lowers the limits and charges memory until the kernel has killed.
///
/// # Errors
/// When a limit can be neither read nor changed, or no process started.
pub fn squeeze(limits: &Limits, squeeze: &Squeeze, stop: &Stop) -> anyhow::Result<()> {
    let swap = host_has_swap();
    // Swap counts in memsw, so with a limit there swapping out gains nothing.
    let counts_swap = swap && limits.group().dir().join(SWAP_LIMIT).is_file();
    limits.remember(LIMIT)?;
    if counts_swap {
        limits.remember(SWAP_LIMIT)?;
    } else if swap {
        limits.remember(SWAPPINESS)?;
        limits.write(SWAPPINESS, 0)?;
    }
    // Refused once nothing is left to reclaim: page cache goes first.
    let emptied = limits.write(LIMIT, 0);
    if emptied.is_err_and(|e| !is_busy(&e)) {
        anyhow::bail!("{LIMIT} of {} cannot be lowered", limits.group().dir().display());
    }
    squeeze.lowered_to(lower(limits, LIMIT, USAGE)?);
    if counts_swap {
        lower(limits, SWAP_LIMIT, SWAP_USAGE)?;
    }
    squeeze.begun();
    let mut charger = Charger::start(limits.group(), squeeze.kills_before())?;
    while clock::boot_ns() < limits.expires_boot_ns() {
        // It ends by itself when it has counted a kill, and so tells whose.
        if let Some(was_killed) = charger.ended(squeeze.has_killed(), stop)? {
            if was_killed {
                squeeze.own_kill();
            }
        } else if squeeze.has_killed() {
            break;
        }
        if stop.wait(LOOK_EVERY) {
            break;
        }
    }
    Ok(())
}

/// Sets a limit to the usage, as nearly as the kernel takes it.
fn lower(limits: &Limits, limit: &str, usage: &str) -> anyhow::Result<u64> {
    let mut slack = 0;
    for _ in 0..TRIES {
        let now: u64 = limits.group().read(usage)?.parse().context("a usage that is no number")?;
        let wanted = now.next_multiple_of(PAGE) + slack;
        match limits.write(limit, wanted) {
            Ok(()) => return Ok(wanted),
            Err(e) if is_busy(&e) => slack = (slack * 2).max(SLACK),
            Err(e) => return Err(anyhow::Error::new(e).context(format!("lowering {limit}"))),
        }
    }
    anyhow::bail!("the usage of {} grows too fast to lower {limit}", limits.group().dir().display())
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}

/// The process that charges memory to the group; killed when dropped.
struct Charger {
    child: Child,
    over: bool,
}

impl Charger {
    fn start(group: &MemoryGroup, kills: u64) -> anyhow::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.arg("charge-memory").arg("--group").arg(group.dir());
        command.arg("--kills").arg(kills.to_string());
        command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().context("starting a process that charges memory")?;
        Ok(Self { child, over: false })
    }

    /// Whether it was this process that the kernel killed; told once, when it
    /// has ended. With `soon` its end is waited for, as it is due.
    fn ended(&mut self, soon: bool, stop: &Stop) -> io::Result<Option<bool>> {
        if self.over {
            return Ok(None);
        }
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if !soon || start.elapsed() > DUE || stop.wait(LOOK_EVERY) {
                return Ok(None);
            }
        };
        self.over = true;
        Ok(Some(status.signal() == Some(libc::SIGKILL)))
    }
}

impl Drop for Charger {
    fn drop(&mut self) {
        // Fails only when it has ended.
        let _ = self.child.kill();
        if let Err(e) = self.child.wait() {
            tracing::error!("waiting for the process that charges memory: {e}");
        }
    }
}
