//! The conditions of a target on processes, each in a form that can be
//! checked and in words.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use faultd_api::Target;
use regex::Regex;

use super::{error::ResolveError, read, stat::Stat};
use crate::host::{
    cgroup::{self, CgroupError, CgroupRef},
    netns::Netns,
    users,
};

/// Linux include/linux/sched.h: TASK_COMM_LEN, less the final NUL.
const COMM_MAX: usize = 15;

/// One condition.
pub(super) enum Criterion {
    /// Being in a control group, however the target names it.
    Group {
        /// The field that names it.
        field: &'static str,
        /// The value given.
        given: String,
        /// The group.
        group: CgroupRef,
        /// Who was in it.
        pids: BTreeSet<u32>,
    },
    /// Command name.
    Name(String),
    /// Effective user.
    User { given: String, uid: u32 },
    /// Executable, as given and with symbolic links followed.
    Exe(PathBuf, PathBuf),
    /// Command line.
    Cmdline(Regex),
    /// Network namespace.
    Netns { given: String, ino: u64 },
}

impl Criterion {
    /// Those of a target apart from its process ids, cheapest to check first.
    pub(super) fn of(target: &Target) -> Result<Vec<Self>, ResolveError> {
        let mut all = Vec::new();
        type Find = fn(&str) -> Result<CgroupRef, CgroupError>;
        let groups: [(&'static str, &Option<String>, Find); 3] = [
            ("cgroup", &target.cgroup, cgroup::find),
            ("unit", &target.unit, cgroup::unit),
            ("container", &target.container, cgroup::container),
        ];
        for (field, given, find) in groups {
            let Some(given) = given else { continue };
            let wrong = |reason| ResolveError::Cgroup { field, reason };
            let group = find(given).map_err(wrong)?;
            let pids = cgroup::procs(&group).map_err(|e| wrong(e.into()))?;
            let pids = pids.into_iter().collect();
            all.push(Self::Group { field, given: given.clone(), group, pids });
        }
        all.extend(target.name.clone().map(Self::Name));
        if let Some(given) = &target.user {
            all.push(Self::User { given: given.clone(), uid: users::uid(given)? });
        }
        if let Some(given) = &target.exe {
            let path = Path::new(given);
            if !path.is_absolute() {
                return Err(ResolveError::RelativeExe(given.clone()));
            }
            let followed = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            all.push(Self::Exe(path.to_owned(), followed));
        }
        if let Some(given) = &target.cmdline {
            all.push(Self::Cmdline(Regex::new(given)?));
        }
        Ok(all)
    }

    /// Being in the network namespace of that name or process.
    pub(super) fn netns(given: &str) -> Result<Self, ResolveError> {
        let ino = Netns::open(given).map_err(ResolveError::Netns)?.ino();
        Ok(Self::Netns { given: given.to_owned(), ino })
    }

    /// The target's field.
    pub(super) fn field(&self) -> &'static str {
        match self {
            Self::Group { field, .. } => field,
            Self::Name(_) => "name",
            Self::User { .. } => "user",
            Self::Exe(..) => "exe",
            Self::Cmdline(_) => "cmdline",
            Self::Netns { .. } => "netns",
        }
    }

    /// Whether a process meets it.
    pub(super) fn is_met(&self, process: &Stat) -> bool {
        match self {
            Self::Group { pids, .. } => pids.contains(&process.pid),
            Self::Name(name) => has_name(process, name),
            Self::User { uid, .. } => read::effective_uid(process.pid).is_ok_and(|u| u == *uid),
            Self::Exe(given, followed) => {
                read::exe(process.pid).is_some_and(|exe| exe == *given || exe == *followed)
            }
            Self::Cmdline(regex) => {
                read::cmdline(process.pid).is_some_and(|line| regex.is_match(&line))
            }
            Self::Netns { ino, .. } => {
                let of_process = fs::metadata(format!("/proc/{}/ns/net", process.pid));
                of_process.is_ok_and(|found| found.ino() == *ino)
            }
        }
    }

    /// As the end of a sentence that begins with "no process".
    pub(super) fn words(&self) -> String {
        match self {
            Self::Group { field: "cgroup", given, .. } => format!("is in control group {given:?}"),
            Self::Group { field, given, group, .. } => {
                format!("is in {field} {given:?} (control group {})", group.path)
            }
            Self::Name(name) => format!("has the command name {name:?}"),
            Self::User { given, uid } if given.parse() == Ok(*uid) => format!("runs as user {uid}"),
            Self::User { given, uid } => format!("runs as user {given:?} ({uid})"),
            Self::Exe(given, _) => format!("runs the executable {:?}", given.display().to_string()),
            Self::Cmdline(regex) => {
                format!("has a command line that matches {:?}", regex.as_str())
            }
            Self::Netns { given, .. } => format!("is in network namespace {given:?}"),
        }
    }
}

/// The kernel cuts command names; a longer name is compared with what was cut
/// off as well, in the first argument or the executable.
fn has_name(process: &Stat, name: &str) -> bool {
    if name.len() <= COMM_MAX {
        return process.comm == name;
    }
    if !name.as_bytes().starts_with(process.comm.as_bytes()) || process.comm.len() < COMM_MAX {
        return false;
    }
    let is_it = |path: &Path| path.file_name().is_some_and(|n| n == name);
    let first = read::cmdline(process.pid)
        .is_some_and(|line| line.split(' ').next().is_some_and(|arg| is_it(Path::new(arg))));
    first || read::exe(process.pid).is_some_and(|exe| is_it(&exe))
}
