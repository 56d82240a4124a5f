//! Processes: which of them a target means, which are never touched, and
//! handles that outlast a reused process id.
//!
//! Invariants:
//! - What a target means is decided in [`resolve`], in its two forms, and nowhere
//!   else.
//! - A process is named by id *and* start time; ids alone are reused.
//! - `cmdline`, `exe` and `status` of a process are read only when a condition
//!   of the target needs them.

mod criteria;
mod error;
mod held;
pub mod pidfd;
mod pids;
mod protect;
pub mod read;
mod resolve;
pub mod stat;
mod table;

use std::path::PathBuf;

use faultd_api::HitProcess;

pub use error::ResolveError;
pub use held::{Held, ProcessRef};
pub use pids::pids;
pub use protect::Protection;
pub use resolve::{resolve, resolve_acting};
pub use table::Table;

use super::cgroup::CgroupRef;

/// A process that a target means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Parent.
    pub ppid: u32,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
    /// Command name, at most 15 bytes.
    pub comm: String,
    /// Effective user id.
    pub uid: u32,
    /// Executable, where the target asked for it.
    pub exe: Option<PathBuf>,
}

impl From<&Process> for HitProcess {
    fn from(process: &Process) -> Self {
        Self { pid: process.pid, comm: process.comm.clone(), uid: process.uid }
    }
}

impl Process {
    /// From its line in the process table; `None` when it has ended.
    pub fn of(stat: &stat::Stat) -> Option<Self> {
        if stat.is_dead() {
            return None;
        }
        Some(Self {
            pid: stat.pid,
            ppid: stat.ppid,
            start_time: stat.start_time,
            comm: stat.comm.clone(),
            uid: read::effective_uid(stat.pid).ok()?,
            exe: None,
        })
    }

    /// Its name for good.
    pub fn reference(&self) -> ProcessRef {
        ProcessRef { pid: self.pid, start_time: self.start_time }
    }
}

/// What describes a target's processes, those to come included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessScope {
    /// Everything in a version 2 control group and below it (and of user
    /// [`Resolved::uid`], where given).
    Cgroup {
        /// Its id, as BPF programs see it.
        id: u64,
        /// Its depth below the root.
        level: u32,
        /// Its path, with a leading slash.
        path: String,
    },
    /// Everything of the user [`Resolved::uid`].
    User,
    /// The processes listed, and their children.
    Pids,
}

/// What a target means on this host, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its processes by ascending id; with scope [`ProcessScope::Pids`] their
    /// descendants included, and never empty.
    pub processes: Vec<Process>,
    /// What describes them.
    pub scope: ProcessScope,
    /// The user that the target names.
    pub uid: Option<u32>,
    /// The control group that the target names, by path, unit or container.
    pub group: Option<CgroupRef>,
}

#[cfg(test)]
mod tests;
