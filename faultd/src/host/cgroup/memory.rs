//! The memory control group in which processes live: its limit, its usage, and
//! the kills that the kernel has counted there.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    mount::{Hierarchy, Mount, Mounts},
    procs::{procs_below, walk},
};
use crate::host::sysctl;

/// Which files a memory control group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryVersion {
    /// `memory.limit_in_bytes`, `memory.oom_control`, …
    V1,
    /// `memory.max`, `memory.events`, …
    V2,
}

/// A control group that limits memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryGroup {
    version: MemoryVersion,
    dir: PathBuf,
}

/// Why processes have no memory control group of their own.
#[derive(Debug, thiserror::Error)]
pub enum NoMemoryGroup {
    /// No hierarchy has the controller.
    #[error("no control group hierarchy of this host has the memory controller")]
    NoController,
    /// They share nothing but the root, which has no limit.
    #[error(
        "process {pid} ({comm}) has no memory control group of its own: it lives in the root, \
         which has no limit"
    )]
    Root {
        /// One of them.
        pid: u32,
        /// Its command name.
        comm: String,
    },
    /// They live outside what this process can see.
    #[error("the memory control group of process {0} is out of sight (a cgroup namespace?)")]
    OutOfSight(u32),
    /// The system refused.
    #[error("cannot read the control groups: {0}")]
    Io(#[from] io::Error),
}

impl MemoryGroup {
    /// The nearest group with a limit that holds all of `pids`, which must not
    /// be empty; those that have ended are passed over.
    ///
    /// # Errors
    /// Why there is none.
    pub fn around(pids: &[u32]) -> Result<Self, NoMemoryGroup> {
        let (version, mount) = hierarchy(&Mounts::read()?).ok_or(NoMemoryGroup::NoController)?;
        let mut common: Option<PathBuf> = None;
        let mut one = 0;
        for &pid in pids {
            // One that has ended is no obstacle.
            let Ok(text) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else { continue };
            let below = path_in(&text, version)
                .and_then(|path| below(&mount, path))
                .ok_or(NoMemoryGroup::OutOfSight(pid))?;
            one = pid;
            common = Some(match common {
                None => below,
                Some(other) => common_part(&other, &below),
            });
        }
        let limit = version.files().limit;
        let mut dir = mount.point.join(common.unwrap_or_default());
        while dir != mount.point {
            if dir.join(limit).is_file() {
                return Ok(Self { version, dir });
            }
            dir.pop();
        }
        let comm = fs::read_to_string(format!("/proc/{one}/comm")).unwrap_or_default();
        Err(NoMemoryGroup::Root { pid: one, comm: comm.trim_end().to_owned() })
    }

    /// A group of version 1 at a directory.
    pub fn at_v1(dir: &Path) -> Self {
        Self { version: MemoryVersion::V1, dir: dir.to_owned() }
    }

    /// Which files it has.
    pub fn version(&self) -> MemoryVersion {
        self.version
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directories of the group and of all below it.
    pub fn dirs(&self) -> Vec<PathBuf> {
        std::iter::once(self.dir.clone()).chain(walk(&self.dir)).collect()
    }

    /// The processes in it and below it.
    ///
    /// # Errors
    /// When the system refuses to tell.
    pub fn members(&self) -> io::Result<BTreeSet<u32>> {
        procs_below(&self.dir)
    }

    /// One of its files, without the line end.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn read(&self, file: &str) -> io::Result<String> {
        let path = self.dir.join(file);
        let text = fs::read_to_string(&path).map_err(|e| about(&path, &e))?;
        Ok(text.trim_end().to_owned())
    }

    /// Changes one of its files.
    ///
    /// # Errors
    /// When there is no such file, or the kernel refuses the value.
    pub fn write(&self, file: &str, value: &str) -> io::Result<()> {
        sysctl::write_existing(&self.dir.join(file), value)
    }

    /// Bytes in use, page cache included.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn usage(&self) -> io::Result<u64> {
        let text = self.read(self.version.files().usage)?;
        text.parse().map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// The figures of `memory.stat`, by name.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn stat(&self) -> io::Result<HashMap<String, u64>> {
        Ok(figures(&self.read("memory.stat")?))
    }

    /// How many processes of the group and of those below it the kernel has
    /// killed for want of memory, since the group was made.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn oom_kills(&self) -> io::Result<u64> {
        let of = |dir: &Path, file: &str| {
            let text = fs::read_to_string(dir.join(file))?;
            Ok::<u64, io::Error>(figures(&text).get("oom_kill").copied().unwrap_or(0))
        };
        match self.version {
            // Linux mm/memcontrol.c, `memcg_memory_event`: those above count too.
            MemoryVersion::V2 => of(&self.dir, "memory.events"),
            MemoryVersion::V1 => {
                let below = walk(&self.dir).filter_map(|dir| of(&dir, "memory.oom_control").ok());
                Ok(of(&self.dir, "memory.oom_control")? + below.sum::<u64>())
            }
        }
    }
}

impl MemoryVersion {
    fn files(self) -> Files {
        match self {
            Self::V1 => Files { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes" },
            Self::V2 => Files { limit: "memory.max", usage: "memory.current" },
        }
    }

    /// The file that holds the limit.
    pub fn limit_file(self) -> &'static str {
        self.files().limit
    }
}

struct Files {
    limit: &'static str,
    usage: &'static str,
}

/// The hierarchy that has the memory controller.
fn hierarchy(mounts: &Mounts) -> Option<(MemoryVersion, Mount)> {
    let is_v1 =
        |m: &&Mount| matches!(&m.hierarchy, Hierarchy::V1(c) if c.iter().any(|c| c == "memory"));
    if let Some(mount) = mounts.iter().find(is_v1) {
        return Some((MemoryVersion::V1, mount.clone()));
    }
    let mount = mounts.v2()?;
    let controllers = fs::read_to_string(mount.point.join("cgroup.controllers")).ok()?;
    let has_it = controllers.split_ascii_whitespace().any(|c| c == "memory");
    has_it.then(|| (MemoryVersion::V2, mount.clone()))
}

/// Which hierarchy limits memory on this host, if any does.
pub fn memory_version() -> Option<MemoryVersion> {
    hierarchy(&Mounts::read().ok()?).map(|(version, _)| version)
}

/// `ID:CONTROLLERS:PATH`, a line a hierarchy; cgroups(7).
fn path_in(text: &str, version: MemoryVersion) -> Option<&str> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let is_it = match version {
            MemoryVersion::V1 => controllers.split(',').any(|c| c == "memory"),
            MemoryVersion::V2 => controllers.is_empty(),
        };
        is_it.then_some(path)
    })
}

/// The path below a mount point; `None` when it lies outside what is mounted.
fn below(mount: &Mount, path: &str) -> Option<PathBuf> {
    let below = Path::new(path).strip_prefix(&mount.root).ok()?;
    let climbs = below.components().any(|c| c == std::path::Component::ParentDir);
    (!climbs).then(|| below.to_owned())
}

fn common_part(a: &Path, b: &Path) -> PathBuf {
    a.components().zip(b.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

/// `NAME VALUE`, a line each.
fn figures(text: &str) -> HashMap<String, u64> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "9:name=systemd:/x\n4:cpu,memory:/a/b:c\n0::/u\n";

    #[test]
    fn the_path_of_a_process() {
        assert_eq!(path_in(HYBRID, MemoryVersion::V1), Some("/a/b:c"));
        assert_eq!(path_in(HYBRID, MemoryVersion::V2), Some("/u"));
        assert_eq!(path_in("0::/u\n", MemoryVersion::V1), None);
    }

    #[test]
    fn the_path_below_a_mount() {
        let mount = |root: &str| Mount {
            hierarchy: Hierarchy::V2,
            root: root.to_owned(),
            point: "/sys/fs/cgroup".into(),
        };
        assert_eq!(below(&mount("/"), "/a/b"), Some("a/b".into()));
        assert_eq!(below(&mount("/a"), "/a/b"), Some("b".into()));
        assert_eq!(below(&mount("/a"), "/b"), None);
        assert_eq!(below(&mount("/"), "/../b"), None);
    }

    #[test]
    fn what_paths_have_in_common() {
        let common =
            |a: &str, b: &str| common_part(Path::new(a), Path::new(b)).display().to_string();
        assert_eq!(common("a/b/c", "a/b/d"), "a/b");
        assert_eq!(common("a/bc", "a/b"), "a");
        assert_eq!(common("a", "b"), "");
    }

    #[test]
    fn figures_by_name() {
        let stat = figures("anon 4096\nfile 0\noom_kill_disable 0\noom_kill 3\nodd\n");
        assert_eq!(
            (stat.get("anon"), stat.get("oom_kill"), stat.len()),
            (Some(&4096), Some(&3), 4)
        );
    }

    #[test]
    fn processes_in_the_root_have_none() {
        let Err(error) = MemoryGroup::around(&[std::process::id()]) else {
            // This process runs in a group that limits memory.
            return;
        };
        assert!(
            matches!(error, NoMemoryGroup::Root { .. } | NoMemoryGroup::NoController),
            "{error}"
        );
    }
}
