//! The socket: bound for root and the group, stale ones replaced, live ones
//! respected.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, chown},
        net::{UnixListener as StdListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use nix::sys::stat::{Mode, umask};
use tokio::net::UnixListener;

/// Why the daemon cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody listens there already.
    #[error("another daemon listens on {}; stop it, or give this one another --socket", .0.display())]
    InUse(PathBuf),
    /// Something else is there, and is not touched.
    #[error("{} exists and is not a socket; remove it, or give another --socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot listen on {}: {source}", .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// A bound socket; its file is removed with it.
#[derive(Debug)]
pub struct Listener {
    socket: Option<StdListener>,
    path: PathBuf,
}

impl Listener {
    /// Binds the socket: mode 0660, owned by `group` if there is one. Missing
    /// directories are made. A socket that nobody listens on is replaced.
    ///
    /// Must be called before other threads create files: it sets the umask
    /// for a moment, so that the socket is never open to more than it should.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn bind(path: &Path, group: Option<u32>) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Io { path: path.to_owned(), source };
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        remove_stale(path)?;
        let before = umask(Mode::from_bits_truncate(0o117));
        let bound = StdListener::bind(path);
        umask(before);
        let socket = bound.map_err(failed)?;
        // From here on, dropping removes the file.
        let listener = Self { socket: Some(socket), path: path.to_owned() };
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
        if group.is_some() {
            chown(path, None, group).map_err(failed)?;
        }
        Ok(listener)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Registers the socket with the async runtime.
    pub(super) fn start(&mut self) -> io::Result<UnixListener> {
        let socket =
            self.socket.take().ok_or_else(|| io::Error::other("the socket is served already"))?;
        socket.set_nonblocking(true)?;
        UnixListener::from_std(socket)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("{}: {e}", self.path.display());
            }
            _ => {}
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        // A full backlog or a lack of permission: somebody is there.
        _ => Err(ListenError::InUse(path.to_owned())),
    }
}
