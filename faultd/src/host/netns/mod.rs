//! Network namespaces: opening one, running code inside it, and finding it
//! again after a restart.
//!
//! Invariants:
//! - A [`Netns`] holds the namespace open, so its inode number cannot be
//!   reused while the value lives; equality is equality of that number.
//! - A caller's thread is in its own namespace before and after every call;
//!   work in another is done on a thread of this module's wherever one can be
//!   started.

mod nsfs;
mod reference;

use std::{
    fmt,
    fs::File,
    hash::{Hash, Hasher},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, mpsc},
    thread::{self, JoinHandle},
};

use nix::sched::{CloneFlags, setns};

pub use reference::{NetnsRef, all};

/// Where named namespaces are mounted: ip-netns(8), then Docker's own folder.
const NAMED_DIRS: [&str; 2] = ["/run/netns", "/run/docker/netns"];

/// The namespace of the calling thread; `/proc/self` would be the main
/// thread's.
const THREAD_SELF: &str = "/proc/thread-self/ns/net";

/// Why a network namespace could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// Neither a name nor a process id that exists here.
    #[error("no network namespace {wanted:?}: tried {tried}")]
    NotFound {
        /// What was looked for.
        wanted: String,
        /// The paths tried, each with the system's answer.
        tried: String,
    },
    /// The path exists but is no network namespace (left behind by
    /// `ip netns`, say).
    #[error("{0} is not a network namespace")]
    NotANamespace(PathBuf),
    /// The system refused.
    #[error("cannot open the network namespace {path}: {source}")]
    Io {
        /// What was opened.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl From<NetnsError> for io::Error {
    fn from(error: NetnsError) -> Self {
        let kind = match &error {
            NetnsError::NotFound { .. } => io::ErrorKind::NotFound,
            NetnsError::NotANamespace(_) => io::ErrorKind::InvalidInput,
            NetnsError::Io { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

/// A network namespace, held open. Cheap to clone.
#[derive(Clone)]
pub struct Netns(Arc<Inner>);

struct Inner {
    fd: OwnedFd,
    ino: u64,
    hint: PathBuf,
    cookie: OnceLock<Option<u64>>,
}

impl Netns {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When procfs is not mounted at `/proc`.
    pub fn current() -> Result<Self, NetnsError> {
        // A hint that each process reads as its own namespace would mislead.
        let hint = format!("/proc/{}/ns/net", std::process::id());
        Self::load(Path::new(THREAD_SELF), PathBuf::from(hint))
    }

    /// The namespace of a process.
    ///
    /// # Errors
    /// When there is no such process, or it may not be looked at.
    pub fn of_pid(pid: u32) -> Result<Self, NetnsError> {
        Self::at(Path::new(&format!("/proc/{pid}/ns/net")))
    }

    /// The namespace that `--netns` names: a name of ip-netns(8) (or of
    /// Docker's folder), else the id of a process in it.
    ///
    /// # Errors
    /// Lists what was tried.
    pub fn open(name_or_pid: &str) -> Result<Self, NetnsError> {
        let mut tried = Vec::new();
        let is_name = !matches!(name_or_pid, "" | "." | "..") && !name_or_pid.contains(['/', '\0']);
        let pid = name_or_pid.parse::<u32>().ok().filter(|pid| *pid > 0);
        let paths = NAMED_DIRS
            .iter()
            .filter(|_| is_name)
            .map(|dir| Path::new(dir).join(name_or_pid))
            .chain(pid.map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net"))));
        for path in paths {
            match Self::at(&path) {
                Ok(found) => return Ok(found),
                Err(NetnsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    tried.push(format!("{} (does not exist)", path.display()));
                }
                Err(other) => return Err(other),
            }
        }
        let tried = if tried.is_empty() {
            "nothing, as that is neither a name nor a process id".to_owned()
        } else {
            tried.join(", ")
        };
        Err(NetnsError::NotFound { wanted: name_or_pid.to_owned(), tried })
    }

    /// The namespace at a path (`/run/netns/…`, `/proc/…/ns/net`).
    ///
    /// # Errors
    /// When it cannot be opened or is something else.
    pub fn at(path: &Path) -> Result<Self, NetnsError> {
        Self::load(path, path.to_owned())
    }

    fn load(path: &Path, hint: PathBuf) -> Result<Self, NetnsError> {
        let io = |source| NetnsError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let ino = file.metadata().map_err(io)?.ino();
        if !nsfs::is_net_namespace(file.as_fd()) {
            return Err(NetnsError::NotANamespace(path.to_owned()));
        }
        Ok(Self(Arc::new(Inner { fd: file.into(), ino, hint, cookie: OnceLock::new() })))
    }

    /// Inode number on nsfs; what `ls -l /proc/PID/ns/net` shows.
    pub fn ino(&self) -> u64 {
        self.0.ino
    }

    /// The path it was opened by.
    pub fn hint(&self) -> &Path {
        &self.0.hint
    }

    /// The kernel's cookie of the namespace: unlike the inode number it is
    /// never given out twice in one boot. `None` where the kernel has no
    /// SO_NETNS_COOKIE (Linux 5.14, `include/uapi/asm-generic/socket.h`).
    pub fn cookie(&self) -> Option<u64> {
        *self.0.cookie.get_or_init(|| self.run(nsfs::thread_cookie).ok().flatten())
    }

    /// Whether the calling thread is in it.
    pub fn is_current(&self) -> bool {
        std::fs::metadata(THREAD_SELF).is_ok_and(|m| m.ino() == self.0.ino)
    }

    /// Runs `f` inside the namespace and waits for it: directly when the
    /// calling thread already is there, else on a thread of its own.
    ///
    /// Descriptors (sockets above all) that `f` opens and returns stay bound
    /// to this namespace.
    ///
    /// # Errors
    /// When the thread cannot be started or may not enter the namespace.
    ///
    /// # Panics
    /// When `f` does.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self.is_current() {
            return Ok(f());
        }
        let mut job = Some(f);
        let started = thread::scope(|scope| {
            let thread = thread::Builder::new().name("netns".into()).spawn_scoped(scope, || {
                setns(&self.0.fd, CloneFlags::CLONE_NEWNET)?;
                Ok::<_, io::Error>(job.take().map(|f| f()))
            });
            thread.map(|t| t.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        match started {
            Ok(result) => result?.ok_or_else(|| io::Error::other("the job vanished")),
            // A fault may have used up the process ids; undoing it must not
            // need one.
            Err(no_thread) => match job {
                Some(f) => self.visit(f),
                None => Err(no_thread),
            },
        }
    }

    /// Runs `f` on the calling thread, inside the namespace and back.
    fn visit<T>(&self, f: impl FnOnce() -> T) -> io::Result<T> {
        /// Brings the thread home, however `f` ends.
        struct Home(Netns);
        impl Drop for Home {
            fn drop(&mut self) {
                if setns(&self.0.0.fd, CloneFlags::CLONE_NEWNET).is_err() {
                    // Going on in a foreign namespace would hit what nobody named.
                    std::process::abort();
                }
            }
        }
        let _home = Home(Self::current()?);
        setns(&self.0.fd, CloneFlags::CLONE_NEWNET)?;
        Ok(f())
    }

    /// Starts a thread that lives inside the namespace.
    ///
    /// # Errors
    /// When the thread cannot be started or may not enter the namespace; `f`
    /// did not run then.
    pub fn spawn(
        &self,
        name: &str,
        f: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let (report, entered) = mpsc::sync_channel(1);
        let netns = self.clone();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let result = setns(&netns.0.fd, CloneFlags::CLONE_NEWNET);
            let ok = result.is_ok();
            drop(netns);
            // Cannot fail: the parent waits for exactly this message.
            let _ = report.send(result);
            if ok {
                f();
            }
        })?;
        entered.recv().map_err(io::Error::other)??;
        Ok(thread)
    }

    /// What the journal stores to find the namespace again.
    pub fn reference(&self) -> NetnsRef {
        NetnsRef { ino: self.0.ino, cookie: self.cookie(), hint: self.0.hint.clone() }
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl PartialEq for Netns {
    fn eq(&self, other: &Self) -> bool {
        self.0.ino == other.0.ino
    }
}

impl Eq for Netns {}

impl Hash for Netns {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.ino.hash(state);
    }
}

impl fmt::Debug for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netns({}, {})", self.0.ino, self.0.hint.display())
    }
}

/// For messages: the name where it has one, else the path.
impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = &self.0.hint;
        match hint.parent() {
            Some(dir) if NAMED_DIRS.iter().any(|d| Path::new(d) == dir) => {
                write!(f, "{}", hint.file_name().unwrap_or_default().display())
            }
            _ => write!(f, "{}", hint.display()),
        }
    }
}

#[cfg(test)]
mod tests;
