//! The identity of a version 2 control group, as BPF programs see it.

use std::{collections::HashSet, ffi::CString, fs, io, os::unix::ffi::OsStrExt, path::Path};

use super::mount::{Mount, Mounts};

/// Linux include/linux/exportfs.h: FILEID_KERNFS.
const FILEID_KERNFS: i32 = 0xfe;

/// Linux include/linux/proc_ns.h: PROC_CGROUP_INIT_INO.
const INITIAL_CGROUP_NAMESPACE: &str = "cgroup:[4026531835]";

/// What `bpf_skb_ancestor_cgroup_id(skb, level)` returns for a packet of a
/// process in the group or below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CgroupId {
    /// The 64-bit kernfs id.
    pub id: u64,
    /// Depth below the root of the hierarchy, which is level 0.
    pub level: u32,
}

impl CgroupId {
    /// That of the group `below` a mount of version 2. `None` where the depth
    /// cannot be known: in a cgroup namespace the real root is out of sight.
    ///
    /// # Errors
    /// When the group does not exist.
    pub(super) fn of(mount: &Mount, below: &str) -> io::Result<Option<Self>> {
        let namespace = fs::read_link("/proc/self/ns/cgroup")?;
        if namespace.as_os_str() != INITIAL_CGROUP_NAMESPACE {
            return Ok(None);
        }
        let level = depth(&mount.root).saturating_add(depth(below));
        Ok(Some(Self { id: kernfs_id(&mount.point.join(below.trim_start_matches('/')))?, level }))
    }
}

fn depth(path: &str) -> u32 {
    u32::try_from(path.split('/').filter(|p| !p.is_empty()).count()).unwrap_or(u32::MAX)
}

/// The ids of the version 2 group at a path below the root of the hierarchy,
/// and of all groups in it. Empty where there is none.
///
/// # Errors
/// When the mounts cannot be read.
pub fn ids_below(path: &str) -> io::Result<HashSet<u64>> {
    fn collect(dir: &Path, ids: &mut HashSet<u64>) {
        // One that was removed meanwhile has no id either.
        let Ok(id) = kernfs_id(dir) else { return };
        ids.insert(id);
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let dirs = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        dirs.for_each(|below| collect(&below.path(), ids));
    }
    let mut ids = HashSet::new();
    if let Some(mount) = Mounts::read()?.v2() {
        collect(&mount.point.join(path.trim_start_matches('/')), &mut ids);
    }
    Ok(ids)
}

/// The id in the directory's file handle (Linux fs/kernfs/mount.c,
/// `kernfs_encode_fh`). The inode number is the same only on 64-bit machines.
pub fn kernfs_id(dir: &Path) -> io::Result<u64> {
    #[repr(C)]
    struct Handle {
        head: libc::file_handle,
        id: [u8; 8],
    }
    let path = CString::new(dir.as_os_str().as_bytes())?;
    let mut handle = Handle {
        head: libc::file_handle { handle_bytes: 8, handle_type: 0, f_handle: [] },
        id: [0; 8],
    };
    let mut mount_id = 0;
    // SAFETY: the path ends in NUL, and `handle` has the room behind its head
    // that `handle_bytes` announces.
    let rc = unsafe {
        libc::name_to_handle_at(
            libc::AT_FDCWD,
            path.as_ptr(),
            (&raw mut handle).cast(),
            &raw mut mount_id,
            0,
        )
    };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    if handle.head.handle_type != FILEID_KERNFS || handle.head.handle_bytes != 8 {
        let text = format!("{} is not a version 2 control group", dir.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(u64::from_ne_bytes(handle.id))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::host::{cgroup::Mounts, test_support::skipped};

    #[test]
    fn depths() {
        assert_eq!([depth("/"), depth(""), depth("/a"), depth("a//b/")], [0, 0, 1, 2]);
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_handle_is_the_inode_number_on_64_bit() -> io::Result<()> {
        let mounts = Mounts::read()?;
        let Some(mount) = mounts.v2() else {
            skipped("no version 2 control groups here");
            return Ok(());
        };
        assert_eq!(kernfs_id(&mount.point)?, fs::metadata(&mount.point)?.ino());
        Ok(())
    }

    #[test]
    fn the_ids_below_the_root_are_those_of_all_groups() -> io::Result<()> {
        let mounts = Mounts::read()?;
        let Some(mount) = mounts.v2() else {
            skipped("no version 2 control groups here");
            return Ok(());
        };
        // Other tests make groups and remove them.
        let entries = fs::read_dir(&mount.point)?.flatten().map(|e| e.path());
        let groups: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        let ids = ids_below("/")?;
        assert!(ids.contains(&kernfs_id(&mount.point)?));
        for group in groups {
            assert!(kernfs_id(&group).map_or(true, |id| ids.contains(&id)), "{}", group.display());
        }
        assert!(ids_below("/no/such/group")?.is_empty());
        Ok(())
    }

    #[test]
    fn other_file_systems_are_refused() {
        assert!(kernfs_id(Path::new("/proc")).is_err());
        assert!(kernfs_id(Path::new("/no/such/place")).is_err());
    }
}
