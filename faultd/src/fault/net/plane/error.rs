//! What can go wrong in the plane.

use std::io;

use aya::{maps::MapError, programs::ProgramError};

use super::{LoadError, line::LineRefused};
use crate::{
    engine::journal::JournalError,
    host::{links::LinkError, netlink::NetlinkError, tc::TcError, undo::UndoError},
};

/// Why the plane could not do something.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The object could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A set has more members than a rule can hold.
    #[error("{got} {what} are more than one rule takes ({max})")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// The most there may be.
        max: usize,
        /// How many there were.
        got: usize,
    },
    /// The rule table or its index is full.
    #[error("the {0} are used up; end some faults first")]
    Full(&'static str),
    /// A rule needs something that this plane does not have, or cannot do.
    #[error("{0}")]
    Unsupported(String),
    /// There is no such rule.
    #[error("there is no rule in slot {0}")]
    NoRule(u16),
    /// A map refused.
    #[error("eBPF map: {0}")]
    Map(#[from] MapError),
    /// A program could not be attached.
    #[error("cannot attach {what}: {source}")]
    Attach {
        /// What, and where.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A program could not be attached, in aya's words.
    #[error("cannot attach {what}: {source}")]
    Program {
        /// What, and where.
        what: String,
        /// The kernel's answer.
        #[source]
        source: ProgramError,
    },
    /// Something of the host could not be read.
    #[error("{what}: {source}")]
    Host {
        /// What.
        what: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The interfaces could not be listed.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// Word of new interfaces cannot be had.
    #[error("cannot watch for new interfaces: {0}")]
    Watch(#[from] NetlinkError),
    /// A classifier could not be looked at or added.
    #[error(transparent)]
    Tc(#[from] TcError),
    /// An effect could not be written down, so it was not applied.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An effect could not be taken back.
    #[error(transparent)]
    Undo(#[from] UndoError),
    /// The delay line refused.
    #[error(transparent)]
    Line(#[from] LineRefused),
    /// Several things went wrong.
    #[error("{}", list(.0))]
    Several(Vec<PlaneError>),
}

impl PlaneError {
    /// This error, and what went wrong while its traces were taken back.
    pub(super) fn and(self, others: impl IntoIterator<Item = Self>) -> Self {
        let mut all = vec![self];
        all.extend(others);
        match all.len() {
            1 => all.swap_remove(0),
            _ => Self::Several(all),
        }
    }

    /// Ok if there is no error, the one, or all.
    ///
    /// # Errors
    /// When there are some.
    pub(super) fn collect(errors: Vec<Self>) -> Result<(), Self> {
        let mut errors = errors;
        match errors.len() {
            0 => Ok(()),
            1 => errors.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(errors)),
        }
    }
}

fn list(errors: &[PlaneError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
