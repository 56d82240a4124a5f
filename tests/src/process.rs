//! Looking at processes through /proc, and signalling those we started.

use std::{fs, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// What the idle checks read from `/proc/PID/status`, threads included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Context switches of all threads: what wake-ups show up as.
    pub switches: u64,
    /// Resident memory in KiB.
    pub resident_kib: u64,
    /// The part of it that belongs to no file.
    pub anonymous_kib: u64,
}

/// Reads a process's usage; `None` when it is gone.
pub fn usage(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut switches = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let text = fs::read_to_string(task.path().join("status")).ok()?;
        switches += field(&text, "voluntary_ctxt_switches:")?;
    }
    Some(Usage {
        switches,
        resident_kib: field(&status, "VmRSS:")?,
        anonymous_kib: field(&status, "RssAnon:")?,
    })
}

/// Whether a process exists and is not a zombie.
pub fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .is_ok_and(|text| !text.lines().any(|l| l.starts_with("State:") && l.contains('Z')))
}

/// Its state letter in proc_pid_stat(5) (`T`: stopped); `None` when it is gone.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Sends a signal to a process that the test started.
///
/// # Panics
/// When there is no such process.
#[track_caller]
pub fn signal(pid: u32, signal: Signal) {
    let target = Pid::from_raw(i32::try_from(pid).expect("a pid"));
    kill(target, signal).unwrap_or_else(|e| panic!("{signal} to {pid}: {e}"));
}

/// Every process whose environment or command line holds `needle`.
pub fn mentioning(needle: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        if pid == std::process::id() || !alive(pid) {
            continue;
        }
        let holds = |file: &str| contains(&entry.path().join(file), needle.as_bytes());
        if holds("environ") || holds("cmdline") {
            found.push(pid);
        }
    }
    found
}

fn contains(file: &Path, needle: &[u8]) -> bool {
    fs::read(file).is_ok_and(|text| text.windows(needle.len()).any(|w| w == needle))
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
