//! The root of the version 2 hierarchy, which takes BPF programs even on
//! hosts that keep their processes in version 1.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    ptr,
};

use super::mount::Mounts;

/// Linux include/uapi/linux/mount.h.
const FSOPEN_CLOEXEC: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSMOUNT_CLOEXEC: u32 = 1;

/// Opens the root directory: through a mount that shows it, else through a
/// private one that nobody else sees and that goes when the descriptor does.
///
/// # Errors
/// When neither is possible; the private mount takes CAP_SYS_ADMIN.
pub fn v2_root() -> io::Result<OwnedFd> {
    match Mounts::read()?.v2() {
        Some(mount) if mount.root == "/" => {
            let flags = libc::O_DIRECTORY | libc::O_CLOEXEC;
            Ok(OpenOptions::new().read(true).custom_flags(flags).open(&mount.point)?.into())
        }
        _ => private_root(),
    }
}

fn private_root() -> io::Result<OwnedFd> {
    // SAFETY: the name ends in NUL.
    let context =
        owned(unsafe { libc::syscall(libc::SYS_fsopen, c"cgroup2".as_ptr(), FSOPEN_CLOEXEC) })?;
    // SAFETY: the descriptor is open; this command takes neither key nor value.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            ptr::null::<libc::c_char>(),
            ptr::null::<libc::c_void>(),
            0,
        )
    };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, the rest are integers.
    let mount = owned(unsafe {
        libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0)
    })?;
    // fsmount(2) gives an O_PATH descriptor; bpf(2) wants an open one, which
    // then keeps the mount.
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the descriptor is open and the path ends in NUL.
    let fd = unsafe { libc::openat(mount.as_raw_fd(), c".".as_ptr(), flags) };
    owned(fd.into())
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    let Ok(fd) = i32::try_from(fd) else { return Err(io::ErrorKind::InvalidData.into()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just returned this descriptor to us.
    Ok(unsafe { File::from_raw_fd(fd) }.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::host::test_support::skipped;

    #[test]
    fn a_private_mount_shows_the_same_root() -> io::Result<()> {
        if !nix::unistd::geteuid().is_root() {
            skipped("mounting takes root");
            return Ok(());
        }
        let private = match private_root() {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                skipped("mounting is not allowed here");
                return Ok(());
            }
            other => File::from(other?),
        };
        assert!(private.metadata()?.is_dir());
        let mounts = Mounts::read()?;
        if mounts.v2().is_some_and(|m| m.root == "/") {
            let public = File::from(v2_root()?);
            assert_eq!(public.metadata()?.ino(), private.metadata()?.ino());
        }
        Ok(())
    }
}
