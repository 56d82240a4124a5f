//! Which processes hold a socket. Needs one readlink(2) for every descriptor
//! of the processes looked at: for listings, never on a hot path.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::ffi::OsStrExt,
    path::Path,
};

/// Processes by socket inode.
pub type Owners = HashMap<u64, Vec<u32>>;

/// The processes that hold each of these sockets. Processes that go away
/// meanwhile, or may not be looked at, are left out.
pub fn owners(inodes: &HashSet<u64>) -> Owners {
    let mut found = Owners::new();
    if inodes.is_empty() {
        return found;
    }
    for pid in crate::host::process::pids() {
        for inode in inodes_of(pid) {
            if inodes.contains(&inode) {
                let holders = found.entry(inode).or_default();
                // A process may hold one socket twice (dup).
                if holders.last() != Some(&pid) {
                    holders.push(pid);
                }
            }
        }
    }
    found
}

/// The inodes of the sockets that a process holds.
pub fn inodes_of(pid: u32) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    entries.filter_map(|entry| socket_inode(&fs::read_link(entry.ok()?.path()).ok()?)).collect()
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
