//! What faults on processes change: who stands still, and which control groups
//! are frozen or limited.

use std::{collections::BTreeSet, fs, path::Path};

use crate::host::process::{pids, stat::Stat};

/// Switches of a control group, and what they hold where nobody has touched
/// them. Version 1 prints "no limit" as the largest whole number of pages.
const SWITCHES: [(&str, &str); 7] = [
    ("cgroup.freeze", "0"),
    ("freezer.self_freezing", "0"),
    ("memory.max", "max"),
    ("memory.swap.max", "max"),
    ("memory.limit_in_bytes", "9223372036854771712"),
    ("memory.memsw.limit_in_bytes", "9223372036854771712"),
    ("memory.swappiness", "60"),
];

/// The processes that a signal has stopped.
pub(super) fn stopped() -> BTreeSet<String> {
    let stopped = pids().into_iter().filter_map(|pid| Stat::read(pid).ok());
    stopped.filter(|s| s.state == 'T').map(|s| format!("process {} ({})", s.pid, s.comm)).collect()
}

/// The switches of one control group that somebody has touched.
pub(super) fn switches(dir: &Path, found: &mut BTreeSet<String>) {
    for (file, untouched) in SWITCHES {
        let path = dir.join(file);
        // Most groups lack most of them.
        let Ok(held) = fs::read_to_string(&path) else { continue };
        if held.trim() != untouched {
            found.insert(format!("{}: {}", path.display(), held.trim()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_that_were_touched() {
        let dir = tempfile::tempdir().unwrap();
        let seen = || {
            let mut found = BTreeSet::new();
            switches(dir.path(), &mut found);
            found.into_iter().collect::<Vec<_>>()
        };
        fs::write(dir.path().join("memory.max"), "max\n").unwrap();
        fs::write(dir.path().join("cgroup.freeze"), "0\n").unwrap();
        assert!(seen().is_empty());
        fs::write(dir.path().join("memory.max"), "4096\n").unwrap();
        fs::write(dir.path().join("cgroup.freeze"), "1\n").unwrap();
        let path = |file: &str| dir.path().join(file).display().to_string();
        let expected = [("cgroup.freeze", "1"), ("memory.max", "4096")];
        assert_eq!(seen(), expected.map(|(file, held)| format!("{}: {held}", path(file))));
    }

    #[test]
    fn a_stopped_process() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let line = format!("process {} (sleep)", child.id());
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        while Stat::read(child.id()).unwrap().comm != "sleep" {
            std::thread::yield_now();
        }
        assert!(!stopped().contains(&line));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        while !stopped().contains(&line) {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
