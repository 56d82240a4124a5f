//! Effects that outlive the daemon, and how each is taken back.
//!
//! An [`Undo`] is idempotent, serialisable and needs nothing that a fault may
//! have broken. The journal stores it; the daemon, the guardian and
//! `faultd recover` replay it.

use std::{fmt, fs::OpenOptions, io, io::Write};

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

impl Undo {
    /// Takes the effect back. Doing so twice is the same as doing so once; an
    /// effect whose object is gone is taken back already.
    ///
    /// # Errors
    /// When the effect is still there.
    pub fn replay(&self) -> Result<(), UndoError> {
        match self {
            Self::WriteFile { path, content } => match write_back(path, content) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    Err(UndoError { what: self.to_string(), reason: e.to_string() })
                }
                _ => Ok(()),
            },
        }
    }
}

/// One write(2) to an existing file, as sysctl files want it.
fn write_back(path: &str, content: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(content.as_bytes())
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteFile { path, content } => {
                write!(f, "{path}, back to {:?}", content.trim_end())
            }
        }
    }
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
