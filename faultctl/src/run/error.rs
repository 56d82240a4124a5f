//! Why a command could not be run.

use std::{
    ffi::{OsStr, OsString},
    io,
};

use faultd_api::Call;
use nix::errno::Errno;

/// Why `run` did not run the command.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The kernel lacks something.
    #[error(
        "this kernel has no seccomp user notification ({0}); run needs Linux 5.9 with CONFIG_SECCOMP_FILTER"
    )]
    Kernel(Errno),
    /// Another filter with a listener is there already; the kernel allows one.
    #[error(
        "this process already runs under a seccomp supervisor (another run, or the container's); \
             give all faults to one run, outside of it"
    )]
    Nested,
    /// The kernel refuses filters here.
    #[error(
        "the kernel refuses a seccomp filter here: {0}; in a container, allow the seccomp system call"
    )]
    Refused(Errno),
    /// Memory, processes or descriptors are used up.
    #[error("cannot start the command: {what}: {source}")]
    Start {
        /// The system call.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// There is no such command.
    #[error("{}: command not found", .0.to_string_lossy())]
    NotFound(OsString),
    /// The command is there and cannot be executed.
    #[error("{}: {source}", .command.to_string_lossy())]
    Exec {
        /// The command.
        command: OsString,
        /// The system's answer.
        source: io::Error,
    },
    /// An argument or variable holds a zero byte.
    #[error("{:?} holds a zero byte", .0)]
    Nul(OsString),
    /// Another architecture has this call.
    #[error("--call {0} does not exist on this machine's architecture ({arch})", arch = std::env::consts::ARCH)]
    NoSuchCall(Call),
    /// `--path` for a call that has nothing to do with files.
    #[error("--path goes with calls on files; {0} takes no path and no file")]
    NoPath(Call),
    /// The supervisor itself failed; the command goes on without faults.
    #[error("the supervisor failed: {what}: {source}; the command goes on without faults")]
    Supervise {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl RunError {
    pub(super) fn start(what: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Start { what, source: source.into() }
    }

    pub(super) fn supervise(what: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Supervise { what, source: source.into() }
    }

    /// What the kernel answered to the filter.
    pub(super) fn filter(errno: Errno) -> Self {
        match errno {
            Errno::EBUSY => Self::Nested,
            Errno::EINVAL | Errno::ENOSYS => Self::Kernel(errno),
            _ => Self::Refused(errno),
        }
    }

    pub(super) fn exec(command: &OsStr, errno: Errno) -> Self {
        match errno {
            Errno::ENOENT => Self::NotFound(command.to_owned()),
            _ => Self::Exec { command: command.to_owned(), source: errno.into() },
        }
    }
}
