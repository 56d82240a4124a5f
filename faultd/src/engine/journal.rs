//! The undo journal (interface; see the module's owner for the real thing).

use crate::host::undo::{Undo, UndoError};

/// The undo journal of one daemon. Cheap to clone.
#[derive(Clone)]
pub struct Journal {}

/// One recorded undo. Dropped without [`Ticket::undo`], it stays pending.
pub struct Ticket {}

/// Why an undo could not be recorded.
#[derive(Debug, thiserror::Error)]
#[error("undo journal: {0}")]
pub struct JournalError(String);

impl Journal {
    /// Records an undo, before the effect is applied.
    ///
    /// # Errors
    /// When it could not be written; the effect must then not be applied.
    pub fn record(
        &self,
        _owner: &str,
        _expires_boot_ns: u64,
        _undo: Undo,
    ) -> Result<Ticket, JournalError> {
        Err(JournalError("not built".into()))
    }
}

impl Ticket {
    /// Moves the time after which the guardian replays it even while the
    /// daemon lives (shared effects outlive the fault that came first).
    ///
    /// # Errors
    /// When the journal could not be written.
    pub fn extend(&self, _expires_boot_ns: u64) -> Result<(), JournalError> {
        Ok(())
    }

    /// Replays the undo and marks it done.
    ///
    /// # Errors
    /// When the effect could not be taken back; the entry stays pending.
    pub fn undo(self) -> Result<(), UndoError> {
        Ok(())
    }
}
