//! Processes that no fault may hurt: those that keep the host, the operator's
//! access or faultd alive, and those that the policy names.

use std::collections::{HashMap, HashSet};

use super::stat::{Stat, lineage};
use crate::host::{cgroup, ssh};

/// What is protected, worked out once for a request.
#[derive(Debug, Clone)]
pub struct Protection {
    own: u32,
    /// The caller's side, with the reason of each.
    caller: HashMap<u32, String>,
    /// Processes of the policy's units, with the unit of each.
    units: HashMap<u32, String>,
    names: HashSet<String>,
}

impl Protection {
    /// For a request by `caller_pid` under a policy that names `units` and
    /// command `names`. A unit that does not run protects nothing.
    pub fn new(caller_pid: Option<u32>, units: &[String], names: &[String]) -> Self {
        let mut of_units = HashMap::new();
        for unit in units {
            let pids = cgroup::unit(unit).ok().and_then(|group| cgroup::procs(&group).ok());
            for pid in pids.into_iter().flatten() {
                of_units.entry(pid).or_insert_with(|| unit.clone());
            }
        }
        Self {
            own: std::process::id(),
            caller: caller_pid.map(callers_side).unwrap_or_default(),
            units: of_units,
            names: names.iter().cloned().collect(),
        }
    }

    /// Why a process is protected; `None` when it is not, or does not exist.
    pub fn reason(&self, pid: u32) -> Option<String> {
        let line = lineage(pid);
        let process = line.first()?;
        if pid == 1 {
            return Some("it is the init process".into());
        }
        if process.is_kernel_thread() {
            return Some("it is a thread of the kernel".into());
        }
        if line.iter().any(|s| s.pid == self.own) {
            return Some("it is faultd's own".into());
        }
        if let Some(reason) = self.caller.get(&pid) {
            return Some(reason.clone());
        }
        if let Some(unit) = self.units.get(&pid) {
            return Some(format!("the policy protects the unit {unit}"));
        }
        self.names
            .contains(&process.comm)
            .then(|| format!("the policy protects the command name {:?}", process.comm))
    }
}

/// The caller, its session's leader, and the SSH servers above it.
fn callers_side(caller: u32) -> HashMap<u32, String> {
    let line = lineage(caller);
    let mut side: HashMap<u32, String> = line
        .iter()
        .filter(|s| ssh::is_server(&s.comm))
        .map(|s: &Stat| (s.pid, "the command came through this SSH server".to_owned()))
        .collect();
    if let Some(session) = line.first().map(|s| s.session).filter(|s| *s != 0) {
        side.entry(session).or_insert_with(|| "it leads the session of the command".to_owned());
    }
    side.insert(caller, "it is the command that asked".to_owned());
    side
}

#[cfg(test)]
mod tests {
    use std::{io, process::Command};

    use super::*;

    #[test]
    fn what_is_always_protected() -> io::Result<()> {
        let protection = Protection::new(None, &["no-such-unit".into()], &[]);
        let why = |pid| protection.reason(pid).unwrap_or_default();
        assert!(why(1).contains("init"));
        assert!(why(std::process::id()).contains("faultd's own"));
        let mut child = Command::new("sleep").arg("60").spawn()?;
        assert!(why(child.id()).contains("faultd's own"));
        child.kill()?;
        child.wait()?;
        assert_eq!(protection.reason(u32::MAX), None);
        Ok(())
    }

    #[test]
    fn the_callers_side_and_the_policy() -> io::Result<()> {
        let mut child = Command::new("setsid").args(["sleep", "60"]).spawn()?;
        // Until it has called setsid, the session is this one's.
        for _ in 0..1000 {
            if Stat::read(child.id())?.session == child.id()
                && Stat::read(child.id())?.comm == "sleep"
            {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // As another daemon would see it, to which the child is a stranger.
        let stranger = |caller, names: &[String]| {
            let protection = Protection { own: u32::MAX, ..Protection::new(caller, &[], names) };
            protection.reason(child.id())
        };
        assert_eq!(stranger(None, &[]), None);
        let asked = stranger(Some(child.id()), &[]).unwrap_or_default();
        assert!(asked.contains("asked"), "{asked}");
        let named = stranger(None, &["sleep".into()]).unwrap_or_default();
        assert!(named.contains("command name \"sleep\""), "{named}");
        let leader = callers_side(child.id());
        assert_eq!(leader.len(), 1);
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}
