//! Who takes the place of a process that has ended.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::host::process::{ProcessRef, pids, read, stat::Stat};

/// A process that is looked at for longer than this rarely changes any more:
/// it has executed its program.
const YOUNG: Duration = Duration::from_secs(2);
/// How often one that is older is looked at.
const OLD_EVERY: Duration = Duration::from_secs(1);

/// What a replacement has in common with what it replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    exe: Option<PathBuf>,
    cmdline: Option<String>,
    ppid: u32,
    /// The control groups of systemd and of containers, apart from roots.
    groups: Vec<String>,
}

impl Identity {
    /// That of a process; `None` when it has ended.
    pub fn read(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid).ok().filter(|stat| !stat.is_dead())?;
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        Some(Self {
            exe: read::exe(pid),
            cmdline: read::cmdline(pid),
            ppid: stat.ppid,
            groups: groups_in(&groups),
        })
    }

    /// Whether a new process takes the place of this one. `successors` tells
    /// who has replaced whom so far.
    fn is_replaced_by(&self, new: &Self, successors: &HashMap<u32, u32>) -> bool {
        let same_program = self.exe == new.exe && self.cmdline == new.cmdline;
        let same_parent = self.ppid == new.ppid || successors.get(&self.ppid) == Some(&new.ppid);
        let same_group = self.groups.iter().any(|group| new.groups.contains(group));
        same_program && (same_parent || same_group)
    }
}

/// Lines of version 2 and of systemd's own hierarchy, which name a unit or
/// container; cgroups(7).
fn groups_in(text: &str) -> Vec<String> {
    let names_a_unit = |line: &&str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next(), fields.next());
        matches!(controllers, Some("" | "name=systemd")) && path.is_some_and(|p| p != "/")
    };
    text.lines().filter(names_a_unit).map(str::to_owned).collect()
}

/// Looks for new processes.
pub struct Scan {
    /// Every process of the host at the last look.
    seen: HashSet<u32>,
    /// New ones that replace nobody yet: they may still have to execute their
    /// program.
    fresh: HashMap<u32, Fresh>,
    /// Who has replaced whom, by process id.
    successors: HashMap<u32, u32>,
}

struct Fresh {
    since: Instant,
    looked: Instant,
    /// Whom it seemed to replace at the last look, and when that began.
    match_since: Option<(ProcessRef, Instant)>,
}

/// A place that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// Who was replaced.
    pub old: ProcessRef,
    /// By whom.
    pub new: u32,
    /// When it was first seen.
    pub at: Instant,
}

impl Scan {
    /// Everything that runs now is no replacement.
    pub fn new() -> Self {
        Self {
            seen: pids().into_iter().collect(),
            fresh: HashMap::new(),
            successors: HashMap::new(),
        }
    }

    /// Compares new processes with those in `missing`, in order; each takes
    /// one place at most. A process counts once it was taken for the same at
    /// two looks: between fork and execution a child looks like its parent.
    pub fn look(&mut self, missing: &[(ProcessRef, &Identity)]) -> Vec<Replacement> {
        let now = Instant::now();
        let current: HashSet<u32> = pids().into_iter().collect();
        for &pid in current.difference(&self.seen) {
            self.fresh
                .insert(pid, Fresh { since: now, looked: now - OLD_EVERY, match_since: None });
        }
        self.seen = current;
        let seen = &self.seen;
        self.fresh.retain(|pid, _| seen.contains(pid));
        let mut young_first: Vec<u32> = self.fresh.keys().copied().collect();
        young_first.sort_unstable();
        let mut found: Vec<Replacement> = Vec::new();
        let mut claimed: HashSet<ProcessRef> = HashSet::new();
        for pid in young_first {
            let Some(fresh) = self.fresh.get_mut(&pid) else { continue };
            let every = if fresh.since.elapsed() < YOUNG { Duration::ZERO } else { OLD_EVERY };
            if fresh.looked.elapsed() < every {
                continue;
            }
            fresh.looked = now;
            let Some(new) = Identity::read(pid) else { continue };
            let place = missing.iter().find(|(old, identity)| {
                !claimed.contains(old) && identity.is_replaced_by(&new, &self.successors)
            });
            let Some((old, _)) = place else {
                fresh.match_since = None;
                continue;
            };
            claimed.insert(*old);
            match fresh.match_since {
                Some((before, at)) if before == *old => {
                    self.successors.insert(old.pid, pid);
                    found.push(Replacement { old: *old, new: pid, at });
                }
                _ => fresh.match_since = Some((*old, now)),
            }
        }
        for replacement in &found {
            self.fresh.remove(&replacement.new);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, thread};

    use super::*;

    fn identity(cmdline: &str, ppid: u32, groups: &str) -> Identity {
        Identity {
            exe: Some("/bin/x".into()),
            cmdline: Some(cmdline.to_owned()),
            ppid,
            groups: groups_in(groups),
        }
    }

    #[test]
    fn the_same_program_in_the_same_place() {
        let none = HashMap::new();
        let unit = "1:name=systemd:/system.slice/a.service\n4:memory:/m\n0::/\n";
        let old = identity("x -a", 7, unit);
        assert_eq!(old.groups.len(), 1);
        let is = |new: &Identity| old.is_replaced_by(new, &none);
        assert!(is(&identity("x -a", 7, "0::/\n")), "the same parent");
        assert!(is(&identity("x -a", 9, unit)), "the same unit");
        assert!(!is(&identity("x -a", 9, "4:memory:/m\n0::/\n")), "elsewhere");
        assert!(!is(&identity("x -b", 7, unit)), "another command line");
        let moved = Identity { exe: Some("/bin/y".into()), ..identity("x -a", 7, unit) };
        assert!(!is(&moved), "another program");
        let successors = HashMap::from([(7, 9)]);
        assert!(old.is_replaced_by(&identity("x -a", 9, "0::/\n"), &successors));
    }

    #[test]
    fn a_new_process_takes_one_place() {
        let mut old = Command::new("sleep").arg("60.25").spawn().unwrap();
        // Until it runs its own program, arguments and all.
        let identity = loop {
            let identity = Identity::read(old.id()).unwrap();
            if identity.cmdline.as_deref() == Some("sleep 60.25") {
                break identity;
            }
        };
        let mut scan = Scan::new();
        old.kill().unwrap();
        old.wait().unwrap();
        let two =
            [ProcessRef { pid: old.id(), start_time: 1 }, ProcessRef { pid: 1, start_time: 1 }];
        let missing = two.map(|r| (r, &identity));
        assert_eq!(scan.look(&missing), []);
        let mut other = Command::new("sleep").arg("60.5").spawn().unwrap();
        let mut new = Command::new("sleep").arg("60.25").spawn().unwrap();
        let mut found = Vec::new();
        for _ in 0..500 {
            found.extend(scan.look(&missing));
            thread::sleep(Duration::from_millis(5));
        }
        for child in [&mut new, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let found: Vec<_> = found.iter().map(|r| (r.old, r.new)).collect();
        assert_eq!(found, [(two[0], new.id())]);
    }
}
