//! The state directory: one daemon at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

/// Where it is, unless `--state-dir` says otherwise.
pub const DEFAULT_PATH: &str = "/run/faultd";
const LOCK_NAME: &str = "lock";

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// A daemon is at work there.
    #[error("a faultd is running on {}; stop it, or give this one another --state-dir", .0.display())]
    InUse(PathBuf),
    /// Somebody else could change what is in it.
    #[error("{} belongs to user {uid}, not to the user of this process", .path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// The system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// A claimed state directory; free again when dropped, or the process is gone.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the directory if need be (mode 0700) and claims it.
    ///
    /// # Errors
    /// See [`StateDirError`].
    pub fn claim(path: &Path) -> Result<Self, StateDirError> {
        let failed = |source| StateDirError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let meta = fs::metadata(path).map_err(failed)?;
        if meta.uid() != nix::unistd::geteuid().as_raw() {
            return Err(StateDirError::NotOurs { path: path.to_owned(), uid: meta.uid() });
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        Self::lock(path)
    }

    /// Claims a directory that exists, changing nothing else.
    ///
    /// # Errors
    /// See [`StateDirError`].
    pub fn lock(path: &Path) -> Result<Self, StateDirError> {
        let failed = |source| StateDirError::Io { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock =
            options.custom_flags(libc::O_NOFOLLOW).open(path.join(LOCK_NAME)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    /// Lets a group through to the socket in the directory; the files beside
    /// it stay closed to it.
    ///
    /// # Errors
    /// When owner or mode cannot be changed.
    pub fn open_to_group(&self, gid: u32) -> Result<(), StateDirError> {
        let failed = |source| StateDirError::Io { path: self.path.clone(), source };
        chown(&self.path, None, Some(gid)).map_err(failed)?;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o710)).map_err(failed)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belongs_to_one_daemon_at_a_time_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = StateDir::claim(&path).unwrap();
        assert!(matches!(StateDir::claim(&path), Err(StateDirError::InUse(_))));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        drop(first);
        StateDir::claim(&path).unwrap();
    }
}
