//! The freezer of a control group: its processes stand still, and none of them
//! can tell.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{CgroupRef, procs::procs_below};
use crate::host::{process::stat::Stat, sysctl, undo::Undo};

/// A group's freezer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freezer {
    dir: PathBuf,
    files: &'static Files,
}

/// How a version of control groups spells it.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    /// Takes the wish.
    switch: &'static str,
    frozen: &'static str,
    thawed: &'static str,
    /// Shows the wish, apart from that of a group above.
    wish: &'static str,
    wished: &'static str,
    /// Has this line once everything stands still.
    outcome: &'static str,
    settled: &'static str,
}

/// Linux Documentation/admin-guide/cgroup-v2.rst.
const V2: Files = Files {
    switch: "cgroup.freeze",
    frozen: "1",
    thawed: "0",
    wish: "cgroup.freeze",
    wished: "1",
    outcome: "cgroup.events",
    settled: "frozen 1",
};

/// Linux Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst.
const V1: Files = Files {
    switch: "freezer.state",
    frozen: "FROZEN",
    thawed: "THAWED",
    wish: "freezer.self_freezing",
    wished: "1",
    outcome: "freezer.state",
    settled: "FROZEN",
};

/// Why a group's freezer does not serve.
#[derive(Debug, thiserror::Error)]
pub enum NoFreezer {
    /// The root has none, and so has version 1 without the controller.
    #[error("control group {0} has no freezer")]
    Missing(String),
    /// A process is in the group by another hierarchy only.
    #[error("process {pid} is not under the freezer of control group {path}")]
    Outside {
        /// The group.
        path: String,
        /// The process.
        pid: u32,
    },
    /// Freezing would hit who is to be left alone.
    #[error("control group {path} also holds process {pid} ({comm}), which is left alone")]
    Spared {
        /// The group.
        path: String,
        /// One of those.
        pid: u32,
        /// Its command name.
        comm: String,
    },
    /// The system refused.
    #[error("cannot read the control groups: {0}")]
    Io(#[from] io::Error),
}

impl Freezer {
    /// The freezer under which all of `members` stand, and nobody who
    /// `is_spared`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn of(
        group: &CgroupRef,
        members: &BTreeSet<u32>,
        is_spared: impl Fn(u32) -> bool,
    ) -> Result<Self, NoFreezer> {
        let mut why = NoFreezer::Missing(group.path.clone());
        let places = [(group.v2_dir(), &V2), (group.v1_dir("freezer"), &V1)];
        for (dir, files) in places {
            let Some(dir) = dir.filter(|dir| dir.join(files.switch).is_file()) else { continue };
            match check(&group.path, dir, members, &is_spared)? {
                None => return Ok(Self { dir: dir.to_owned(), files }),
                Some(reason) => why = reason,
            }
        }
        Err(why)
    }

    /// The group's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether somebody wants it frozen now (a group above does not count).
    ///
    /// # Errors
    /// When the group is gone.
    pub fn is_wanted(&self) -> io::Result<bool> {
        Ok(fs::read_to_string(self.dir.join(self.files.wish))?.trim() == self.files.wished)
    }

    /// Whether everything in it stands still.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn is_settled(&self) -> io::Result<bool> {
        let text = fs::read_to_string(self.dir.join(self.files.outcome))?;
        Ok(text.lines().any(|line| line == self.files.settled))
    }

    /// Freezes it; [`Freezer::is_settled`] tells when that is done.
    ///
    /// # Errors
    /// When the group is gone, or the system refuses.
    pub fn freeze(&self) -> io::Result<()> {
        sysctl::write_existing(&self.dir.join(self.files.switch), self.files.frozen)
    }

    /// How it is thawed.
    pub fn undo(&self) -> Undo {
        Undo::WriteFile {
            path: self.dir.join(self.files.switch).display().to_string(),
            content: self.files.thawed.to_owned(),
        }
    }

    /// The processes in it.
    ///
    /// # Errors
    /// When the system refuses to tell.
    pub fn members(&self) -> io::Result<BTreeSet<u32>> {
        procs_below(&self.dir)
    }
}

fn check(
    path: &str,
    dir: &Path,
    members: &BTreeSet<u32>,
    is_spared: &impl Fn(u32) -> bool,
) -> io::Result<Option<NoFreezer>> {
    let inside = procs_below(dir)?;
    // What has ended since one of the lists was made is in no group.
    let alive = |pid: &u32| Stat::read(*pid).ok().filter(|stat| !stat.is_dead());
    if let Some(stat) = members.difference(&inside).find_map(alive) {
        return Ok(Some(NoFreezer::Outside { path: path.to_owned(), pid: stat.pid }));
    }
    // Those that were born or came since the list was made are meant as well.
    let spared = inside.difference(members).filter(|pid| is_spared(**pid)).find_map(alive);
    Ok(spared.map(|stat| NoFreezer::Spared {
        path: path.to_owned(),
        pid: stat.pid,
        comm: stat.comm,
    }))
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command},
        thread,
        time::Duration,
    };

    use super::*;
    use crate::host::cgroup::{Hierarchy, find, tests::OwnCgroup};

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    fn end(child: &mut Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn freezes_and_thaws(group: &OwnCgroup) {
        let mut child = sleeper();
        group.add(child.id()).unwrap();
        let found = find(&group.0.display().to_string()).unwrap();
        let freezer = Freezer::of(&found, &BTreeSet::from([child.id()]), |_| true).unwrap();
        assert!(!freezer.is_wanted().unwrap() && !freezer.is_settled().unwrap());
        freezer.freeze().unwrap();
        assert!(freezer.is_wanted().unwrap());
        while !freezer.is_settled().unwrap() {
            thread::sleep(Duration::from_millis(1));
        }
        let undo = freezer.undo();
        undo.replay().unwrap();
        undo.replay().unwrap();
        assert!(!freezer.is_wanted().unwrap());
        end(&mut child);
    }

    #[test]
    fn of_version_two() {
        let Some(group) = OwnCgroup::v2("freezer") else { return };
        freezes_and_thaws(&group);
    }

    #[test]
    fn of_version_one() {
        let freezer = |h: &Hierarchy| matches!(h, Hierarchy::V1(c) if c == &["freezer"]);
        let Some(group) = OwnCgroup::new("freezer1", freezer) else { return };
        freezes_and_thaws(&group);
    }

    #[test]
    fn never_with_protected_processes_in_it() {
        let Some(group) = OwnCgroup::v2("freezer-others") else { return };
        let (mut inside, mut outside) = (sleeper(), sleeper());
        group.add(inside.id()).unwrap();
        let found = find(&group.name()).unwrap();
        let others = Freezer::of(&found, &BTreeSet::new(), |_| true).unwrap_err().to_string();
        assert!(others.contains(&format!("also holds process {}", inside.id())), "{others}");
        let both = BTreeSet::from([inside.id(), outside.id()]);
        assert!(Freezer::of(&found, &BTreeSet::new(), |_| false).is_ok(), "newborn");
        let missing = Freezer::of(&found, &both, |_| false).unwrap_err();
        assert!(matches!(missing, NoFreezer::Outside { pid, .. } if pid == outside.id()));
        let root = Freezer::of(&find("/").unwrap(), &both, |_| false).unwrap_err();
        assert!(matches!(root, NoFreezer::Missing(_)), "{root}");
        end(&mut inside);
        end(&mut outside);
    }
}
