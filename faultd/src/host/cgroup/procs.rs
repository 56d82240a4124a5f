//! Who is in a control group, and a walk over the groups below one.

use std::{
    collections::{BTreeSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
};

use super::CgroupRef;

/// The processes in a group and in all groups below it, in any of its
/// hierarchies, ascending. Groups that vanish meanwhile count as empty.
///
/// # Errors
/// When the system refuses to tell.
pub fn procs(group: &CgroupRef) -> io::Result<Vec<u32>> {
    let mut all = BTreeSet::new();
    for dir in &group.dirs {
        all.extend(procs_below(&dir.path)?);
    }
    Ok(all.into_iter().collect())
}

/// The processes in the groups at and below a directory.
pub(in crate::host) fn procs_below(dir: &Path) -> io::Result<BTreeSet<u32>> {
    let mut all = BTreeSet::new();
    for dir in std::iter::once(dir.to_owned()).chain(walk(dir)) {
        let pids = match fs::read_to_string(dir.join("cgroup.procs")) {
            // Linux kernel/cgroup/cgroup.c, `cgroup_procs_start`: a threaded
            // group only lists threads.
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => processes_of_threads(&dir)?,
            other => gone_is_empty(other)?.lines().filter_map(|l| l.parse().ok()).collect(),
        };
        // Processes of another process id namespace read as 0.
        all.extend(pids.into_iter().filter(|pid| *pid != 0));
    }
    Ok(all)
}

fn processes_of_threads(dir: &Path) -> io::Result<Vec<u32>> {
    let threads = gone_is_empty(fs::read_to_string(dir.join("cgroup.threads")))?;
    Ok(threads.lines().filter_map(|tid| thread_group(tid.parse().ok()?)).collect())
}

/// The process that a thread belongs to.
pub(in crate::host) fn thread_group(tid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|l| l.strip_prefix("Tgid:"))?.trim().parse().ok()
}

fn gone_is_empty(result: io::Result<String>) -> io::Result<String> {
    match result {
        // ENODEV: the group was removed between open and read.
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ENODEV) => {
            Ok(String::new())
        }
        other => other,
    }
}

/// All groups below a directory, nearest first.
pub(super) fn walk(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let mut queue = VecDeque::from([dir.to_owned()]);
    let mut ready = VecDeque::new();
    std::iter::from_fn(move || {
        while ready.is_empty() {
            let parent = queue.pop_front()?;
            let Ok(entries) = fs::read_dir(parent) else { continue };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    queue.push_back(entry.path());
                    ready.push_back(entry.path());
                }
            }
        }
        ready.pop_front()
    })
}
