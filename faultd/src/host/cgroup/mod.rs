//! Control groups: where they are mounted, which one a target means, and the
//! processes in it.
//!
//! Invariants:
//! - A group is named by its path; on a host with several hierarchies that
//!   path may exist in some of them only, and with other processes in each.
//! - Nothing here makes, fills or removes a group but [`Scratch`], and those
//!   are empty; [`Freezer`] and [`MemoryGroup`] change one when told to.

mod container;
mod freezer;
mod id;
mod memory;
mod mount;
mod procs;
mod root;
mod scratch;
mod unit;

use std::{
    io,
    path::{Component, Path, PathBuf},
};

pub use container::container;
pub use freezer::{Freezer, NoFreezer};
pub use id::{CgroupId, ids_below};
pub use memory::{MemoryGroup, MemoryVersion, NoMemoryGroup, memory_version};
pub use mount::{Hierarchy, Mount, Mounts};
pub use procs::procs;
pub(in crate::host) use procs::{procs_below, thread_group};
pub use root::v2_root;
pub use scratch::{Scratch, sweep};
pub use unit::unit;

/// Why a control group was not found.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// Nothing of that name.
    #[error("no {wanted}; looked {looked}")]
    NotFound {
        /// What was looked for.
        wanted: String,
        /// Where.
        looked: String,
    },
    /// More than one.
    #[error("{wanted} is ambiguous, it could be {}", found.join(" or "))]
    Ambiguous {
        /// What was looked for.
        wanted: String,
        /// The candidates.
        found: Vec<String>,
    },
    /// Text that names no group.
    #[error("{0:?} is not the path of a control group: it must not contain `..`")]
    BadPath(String),
    /// Not a host with control groups.
    #[error("no control group hierarchy is mounted on this host")]
    NoHierarchy,
    /// The system refused.
    #[error("cannot read the control groups: {0}")]
    Io(#[from] io::Error),
}

/// A control group of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupRef {
    /// Path below the root of its hierarchies, with a leading slash.
    pub path: String,
    /// What BPF programs know it by, where it exists in version 2.
    pub v2: Option<CgroupId>,
    /// Its directory in every hierarchy in which it exists, in the order of
    /// [`Mounts`]; never empty.
    pub dirs: Vec<CgroupDir>,
}

/// A control group's directory in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupDir {
    /// Which hierarchy.
    pub hierarchy: Hierarchy,
    /// The directory.
    pub path: PathBuf,
}

impl CgroupRef {
    /// The directory in version 2.
    pub fn v2_dir(&self) -> Option<&Path> {
        self.dirs.iter().find(|d| d.hierarchy == Hierarchy::V2).map(|d| d.path.as_path())
    }

    /// The directory in the version 1 hierarchy that has a controller
    /// (`memory`, `freezer`).
    pub fn v1_dir(&self, controller: &str) -> Option<&Path> {
        let has = |d: &&CgroupDir| matches!(&d.hierarchy, Hierarchy::V1(c) if c.iter().any(|c| c == controller));
        self.dirs.iter().find(has).map(|d| d.path.as_path())
    }

    /// The group at a path relative to the hierarchies' mount points, where
    /// it exists in at least one of them.
    fn at<'m>(
        mounts: impl Iterator<Item = &'m Mount>,
        below: &Path,
    ) -> Result<Option<Self>, CgroupError> {
        let text = below.to_string_lossy();
        let mut found =
            Self { path: format!("/{}", text.trim_matches('/')), v2: None, dirs: Vec::new() };
        for mount in mounts {
            let path = if text.is_empty() { mount.point.clone() } else { mount.point.join(below) };
            if !path.is_dir() {
                continue;
            }
            if mount.hierarchy == Hierarchy::V2 {
                found.v2 = CgroupId::of(mount, &found.path)?;
            }
            found.dirs.push(CgroupDir { hierarchy: mount.hierarchy.clone(), path });
        }
        Ok((!found.dirs.is_empty()).then_some(found))
    }
}

/// The group that `--cgroup PATH` means: a path below the mount points, or an
/// absolute one into one of them, which then means that hierarchy alone.
///
/// # Errors
/// When there is none, with the directories that were tried.
pub fn find(path: &str) -> Result<CgroupRef, CgroupError> {
    find_in(&Mounts::read()?, path)
}

fn find_in(mounts: &Mounts, path: &str) -> Result<CgroupRef, CgroupError> {
    if mounts.iter().next().is_none() {
        return Err(CgroupError::NoHierarchy);
    }
    let clean = clean(path).ok_or_else(|| CgroupError::BadPath(path.to_owned()))?;
    let tried: Vec<String>;
    let found = match mounts.containing(&Path::new("/").join(&clean)) {
        Some((mount, below)) if path.starts_with('/') => {
            tried = vec![mount.point.join(below).display().to_string()];
            CgroupRef::at(std::iter::once(mount), below)?
        }
        _ => {
            tried = mounts.iter().map(|m| m.point.join(&clean).display().to_string()).collect();
            CgroupRef::at(mounts.iter(), &clean)?
        }
    };
    found.ok_or_else(|| CgroupError::NotFound {
        wanted: format!("control group {path:?}"),
        looked: format!("for {}", tried.join(", ")),
    })
}

/// The path without its leading slash, `.` and doubled slashes; `None` when it
/// would climb.
fn clean(path: &str) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

/// Points for messages: `below /a, /b`.
fn points<'m>(mounts: impl Iterator<Item = &'m Mount>) -> String {
    mounts.map(|m| m.point.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(crate) mod tests;
