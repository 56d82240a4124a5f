//! Effects that outlive the daemon, and how each is taken back.
//!
//! An [`Undo`] is idempotent, serialisable and needs nothing that a fault may
//! have broken. The journal stores it; the daemon, the guardian and
//! `faultd recover` replay it.

use serde::{Deserialize, Serialize};

/// How to take one effect back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// Write a sysctl (or sysfs file) back.
    WriteFile {
        /// Absolute path.
        path: String,
        /// What it held.
        content: String,
    },
}

/// Why an effect could not be taken back.
#[derive(Debug, thiserror::Error)]
#[error("could not undo {what}: {reason}")]
pub struct UndoError {
    /// The effect.
    pub what: String,
    /// The system's answer.
    pub reason: String,
}
