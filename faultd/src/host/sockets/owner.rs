//! Which processes hold a socket. Needs one readlink(2) for every descriptor
//! of the processes looked at: for listings, never on a hot path.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
    time::{Duration, Instant},
};

/// A process that holds each of these sockets, by inode: the first one found
/// among `pids`, in that order. Stops when all are found or after `patience`.
/// Processes that go away meanwhile, or may not be looked at, are left out.
pub fn holders(
    inodes: &HashSet<u64>,
    pids: impl IntoIterator<Item = u32>,
    patience: Duration,
) -> HashMap<u64, u32> {
    let start = Instant::now();
    let mut found = HashMap::new();
    for pid in pids {
        for inode in sockets_of(pid) {
            if inodes.contains(&inode) {
                found.entry(inode).or_insert(pid);
            }
            if start.elapsed() > patience {
                return found;
            }
        }
        if found.len() == inodes.len() {
            return found;
        }
    }
    found
}

/// All processes, those of these users first: a socket is mostly held by a
/// process of the user whom it belongs to.
pub fn likely_first(uids: &HashSet<u32>) -> Vec<u32> {
    let is_theirs = |pid: &u32| {
        let owner = fs::metadata(format!("/proc/{pid}")).map(|m| m.uid());
        owner.is_ok_and(|uid| uids.contains(&uid))
    };
    let (mut likely, others): (Vec<u32>, Vec<u32>) =
        crate::host::process::pids().into_iter().partition(is_theirs);
    likely.extend(others);
    likely
}

/// The inodes of the sockets that a process holds.
pub fn inodes_of(pid: u32) -> Vec<u64> {
    sockets_of(pid).collect()
}

fn sockets_of(pid: u32) -> impl Iterator<Item = u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    entries.filter_map(|entry| socket_inode(&fs::read_link(entry.ok()?.path()).ok()?))
}

/// The numbers of the descriptors by which a process holds sockets.
pub fn descriptors_of(pid: u32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            socket_inode(&fs::read_link(entry.path()).ok()?)?;
            entry.file_name().to_str()?.parse().ok()
        })
        .collect()
}

/// `socket:[12345]`, proc_pid_fd(5).
fn socket_inode(link: &Path) -> Option<u64> {
    let text = std::str::from_utf8(link.as_os_str().as_bytes()).ok()?;
    text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_have_a_socket_inode() {
        assert_eq!(socket_inode(Path::new("socket:[4711]")), Some(4711));
        for other in ["pipe:[4711]", "/dev/null", "socket:[x]", "socket:["] {
            assert_eq!(socket_inode(Path::new(other)), None);
        }
    }
}
