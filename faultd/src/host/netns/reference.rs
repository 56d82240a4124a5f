//! Finding a network namespace again: what the undo journal keeps of it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Netns;
use crate::host::process::pids;

/// A network namespace as it is written down, within one boot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetnsRef {
    /// Inode number on nsfs. The kernel reuses these.
    pub ino: u64,
    /// SO_NETNS_COOKIE, which it does not reuse; absent before Linux 5.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// Where it was found first.
    pub hint: PathBuf,
}

impl NetnsRef {
    /// Opens the namespace again: through its hint, else through whatever
    /// still holds it (this thread, processes, mounts, threads, descriptors,
    /// in the order of what that costs).
    ///
    /// `None` means that it is gone, and every effect inside it with it.
    pub fn open(&self) -> Option<Netns> {
        if let Ok(own) = Netns::current()
            && self.is(&own)
        {
            return Some(own);
        }
        if let Some(found) = self.try_path(&self.hint) {
            return Some(found);
        }
        let pids = pids();
        let by_process = pids.iter().map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
        if let Some(found) = by_process.into_iter().find_map(|path| self.try_path(&path)) {
            return Some(found);
        }
        if let Some(found) = mounted_namespaces().iter().find_map(|path| self.try_path(path)) {
            return Some(found);
        }
        let by_thread = pids.iter().flat_map(|pid| children(&format!("/proc/{pid}/task")));
        if let Some(found) =
            by_thread.into_iter().find_map(|task| self.try_path(&task.join("ns/net")))
        {
            return Some(found);
        }
        // Held open by a descriptor alone, as a daemon of containers may.
        let link = PathBuf::from(format!("net:[{}]", self.ino));
        let by_descriptor = pids.iter().flat_map(|pid| children(&format!("/proc/{pid}/fd")));
        by_descriptor
            .filter(|fd| fs::read_link(fd).is_ok_and(|l| l == link))
            .find_map(|fd| self.try_path(&fd))
    }

    /// Whether both name the same namespace, wherever it was found.
    pub fn is_same(&self, other: &Self) -> bool {
        let differ = matches!((self.cookie, other.cookie), (Some(a), Some(b)) if a != b);
        self.ino == other.ino && !differ
    }

    fn is(&self, netns: &Netns) -> bool {
        if netns.ino() != self.ino {
            return false;
        }
        match (self.cookie, netns.cookie()) {
            (Some(then), Some(now)) => then == now,
            _ => true,
        }
    }

    fn try_path(&self, path: &Path) -> Option<Netns> {
        // The stat is far cheaper than opening each candidate.
        if fs::metadata(path).ok()?.ino() != self.ino {
            return None;
        }
        Netns::at(path).ok().filter(|netns| self.is(netns))
    }
}

fn children(dir: &str) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// Every network namespace in sight: this thread's, those of processes and
/// their threads, and those that are mounted. By inode number.
///
/// One that only a descriptor holds is not among them.
pub fn all() -> Vec<Netns> {
    let mut found: BTreeMap<u64, Netns> = BTreeMap::new();
    if let Ok(own) = Netns::current() {
        found.insert(own.ino(), own);
    }
    let by_thread = pids().into_iter().flat_map(|pid| children(&format!("/proc/{pid}/task")));
    let paths = mounted_namespaces().into_iter().chain(by_thread.map(|task| task.join("ns/net")));
    for path in paths {
        // The stat is far cheaper than opening each.
        let Ok(ino) = fs::metadata(&path).map(|m| m.ino()) else { continue };
        if !found.contains_key(&ino)
            && let Ok(netns) = Netns::at(&path)
        {
            found.insert(netns.ino(), netns);
        }
    }
    found.into_values().collect()
}

/// Paths under which network namespaces are mounted (`ip netns`, container
/// runtimes), from mountinfo: their root is `net:[INODE]`, proc_pid_mountinfo(5).
fn mounted_namespaces() -> Vec<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    parse_mounted_namespaces(&mountinfo)
}

fn parse_mounted_namespaces(mountinfo: &str) -> Vec<PathBuf> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(3);
            let (root, point) = (fields.next()?, fields.next()?);
            root.starts_with("net:[").then(|| unescape(point))
        })
        .collect()
}

/// Undoes the octal escapes of mountinfo (`\040` for a space).
fn unescape(field: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let bytes = field.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes
            .get(at + 1..at + 4)
            .filter(|_| bytes[at] == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 4 } else { 1 };
    }
    std::ffi::OsString::from_vec(out).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounted_namespaces_are_read_from_mountinfo() {
        let text = "22 1 0:5 / /proc rw shared:5 - proc proc rw\n\
                    88 26 0:4 net:[4026532008] /run/netns/a\\040b rw shared:1 - nsfs nsfs rw\n\
                    89 26 0:4 mnt:[4026532009] /run/x rw - nsfs nsfs rw\n";
        assert_eq!(parse_mounted_namespaces(text), [PathBuf::from("/run/netns/a b")]);
    }

    #[test]
    fn a_lone_backslash_stays() {
        assert_eq!(unescape(r"/a\b\134c"), PathBuf::from(r"/a\b\c"));
    }
}
