//! Why a target's processes could not be told.

use std::io;

use crate::host::{cgroup::CgroupError, netns::NetnsError, users::UserError};

/// Why a target's processes could not be told.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The target has no process part.
    #[error(
        "the target names no process: give --pid, --name, --exe, --cmdline, --user, --cgroup, \
         --unit or --container"
    )]
    NothingNamed,
    /// A process id that nobody has.
    #[error("process {0} does not exist")]
    NoProcess(u32),
    /// A thread's id.
    #[error("{tid} is a thread of process {pid}; give --pid {pid}")]
    Thread {
        /// What was given.
        tid: u32,
        /// Its process.
        pid: u32,
    },
    /// It only waits for its parent to notice.
    #[error("process {0} has ended (it is a zombie)")]
    Ended(u32),
    /// A process that is a target only when the caller insists.
    #[error("process {pid} is the init process; --force allows it")]
    Init {
        /// Always 1.
        pid: u32,
    },
    /// A process that is never a target.
    #[error("process {pid} is {what}, which is never a target, not even with --force")]
    Protected {
        /// Which.
        pid: u32,
        /// What it is.
        what: &'static str,
    },
    /// Nothing matches.
    #[error("no process {criteria}{note}")]
    NoMatch {
        /// The field that left nothing over.
        field: &'static str,
        /// What was looked for, in words.
        criteria: String,
        /// What may explain it; empty or `; …`.
        note: String,
    },
    /// `--cmdline` is not a regular expression.
    #[error("not a regular expression: {}", regex_fault(.0))]
    Regex(#[from] regex::Error),
    /// `--exe` is not a whole path.
    #[error("takes an absolute path, got {0:?}")]
    RelativeExe(String),
    /// No such user.
    #[error(transparent)]
    User(#[from] UserError),
    /// No such network namespace.
    #[error(transparent)]
    Netns(NetnsError),
    /// A network namespace that does not narrow anything.
    #[error("{0:?} is the host's own network namespace; name the processes as well")]
    HostNetns(String),
    /// No such control group, unit or container.
    #[error("{reason}")]
    Cgroup {
        /// The field that names it.
        field: &'static str,
        /// Why.
        reason: CgroupError,
    },
    /// The process table cannot be read.
    #[error("cannot read /proc: {0}")]
    Proc(#[source] io::Error),
}

impl ResolveError {
    /// The target's field at fault, where it is one.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::NothingNamed | Self::Proc(_) => None,
            Self::NoProcess(_)
            | Self::Thread { .. }
            | Self::Ended(_)
            | Self::Init { .. }
            | Self::Protected { .. } => Some("pid"),
            Self::NoMatch { field, .. } | Self::Cgroup { field, .. } => Some(field),
            Self::Regex(_) => Some("cmdline"),
            Self::RelativeExe(_) => Some("exe"),
            Self::User(_) => Some("user"),
            Self::Netns(_) | Self::HostNetns(_) => Some("netns"),
        }
    }

    /// Whether a safety rail is what stands in the way.
    pub fn is_rail(&self) -> bool {
        matches!(self, Self::Init { .. } | Self::Protected { .. })
    }
}

/// What is wrong, without the drawing of several lines that shows where.
fn regex_fault(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(&text).to_owned()
}
