//! Control groups without processes, which a probe makes for a moment.
//!
//! One whose maker is killed in that moment stays, so its name says who made
//! it, and [`sweep`] removes it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::{
    dir::Dir,
    fcntl::{OFlag, open, openat},
    sys::stat::{Mode, mkdirat},
    unistd::{UnlinkatFlags, unlinkat},
};

use super::{mount::Mounts, root::v2_root};
use crate::host::process::stat::Stat;

/// What the names begin with; what made the group and its process id follow.
const PREFIX: &str = "faultd-probe-";

/// An empty control group, removed when dropped.
pub struct Scratch {
    parent: OwnedFd,
    name: String,
    dir: OwnedFd,
}

impl Scratch {
    /// Makes one below `parent`. `what` it is for keeps those of one process apart.
    ///
    /// # Errors
    /// When the group cannot be made or opened.
    pub fn new(parent: OwnedFd, what: &str) -> io::Result<Self> {
        let name = format!("{PREFIX}{what}-{}", std::process::id());
        mkdirat(&parent, name.as_str(), Mode::from_bits_truncate(0o755))?;
        match openat(&parent, name.as_str(), directory(), Mode::empty()) {
            Ok(dir) => Ok(Self { parent, name, dir }),
            Err(e) => {
                let _ = unlinkat(&parent, name.as_str(), UnlinkatFlags::RemoveDir);
                Err(e.into())
            }
        }
    }
}

impl AsFd for Scratch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Empty, so it can only fail by being gone already.
        let _ = unlinkat(&self.parent, self.name.as_str(), UnlinkatFlags::RemoveDir);
    }
}

/// Removes the groups of processes that are gone, in every hierarchy. What
/// cannot be removed stays: the residue finder shows it.
pub fn sweep() {
    let Ok(mounts) = Mounts::read() else { return };
    for mount in mounts.iter() {
        if let Ok(root) = open(&mount.point, directory(), Mode::empty()) {
            sweep_in(&root);
        }
    }
    // Where no mount shows the root of version 2, a private one does.
    if mounts.v2().is_none_or(|mount| mount.root != "/")
        && let Ok(root) = v2_root()
    {
        sweep_in(&root);
    }
}

fn sweep_in(root: &OwnedFd) {
    let Ok(mut dir) = Dir::openat(root, ".", directory(), Mode::empty()) else { return };
    let names = dir.iter().flatten().filter_map(|e| e.file_name().to_str().ok().map(str::to_owned));
    for name in names.filter(|name| maker(name).is_some_and(is_gone)).collect::<Vec<_>>() {
        // A group with processes is not ours; the kernel keeps it.
        let _ = unlinkat(root, name.as_str(), UnlinkatFlags::RemoveDir);
    }
}

/// The process that made the group of this name.
fn maker(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.rsplit('-').next()?.parse().ok()
}

/// Also if only its parent has not taken notice.
fn is_gone(pid: u32) -> bool {
    Stat::read(pid).map_or(true, |stat| stat.is_dead())
}

fn directory() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, process::Command};

    use super::*;

    #[test]
    fn only_what_the_dead_made_is_swept() {
        // A directory does as well: only names and emptiness count.
        let place = tempfile::tempdir().unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        let dead = child.id();
        nix::sys::wait::waitid(
            nix::sys::wait::Id::Pid(nix::unistd::Pid::from_raw(dead.cast_signed())),
            nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT,
        )
        .unwrap();
        let own = std::process::id();
        let gone = [format!("faultd-probe-bpf-{dead}"), format!("faultd-probe-freezer-{dead}")];
        let kept = [
            format!("faultd-probe-bpf-{own}"),
            format!("faultd-probe-full-{dead}"),
            format!("other-{dead}"),
            "faultd-probe-nobody".to_owned(),
        ];
        for name in gone.iter().chain(&kept) {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        fs::create_dir(place.path().join(&kept[1]).join("child")).unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        sweep_in(&open(place.path(), directory(), Mode::empty()).unwrap());
        let mut left: Vec<_> = fs::read_dir(place.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut kept = kept.to_vec();
        kept.sort();
        assert_eq!(left, kept);
        child.wait().unwrap();
    }
}
