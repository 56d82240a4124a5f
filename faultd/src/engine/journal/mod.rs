//! The undo journal: how effects that outlive the daemon are taken back.
//!
//! Invariants:
//! - An undo is in the journal *before* its effect is applied, and is marked
//!   done only after it was replayed. At every instant, a process that dies
//!   leaves a journal from which everything can be taken back.
//! - The file is reserved in full when the daemon starts, so that writing an
//!   undo needs no disk space, and taking one back needs no more descriptors
//!   than the effect itself.
//! - Replay is idempotent and runs backwards, newest effect first; the daemon,
//!   the guardian and `faultd recover` may all replay the same entry.
//! - Who changes the file holds `flock(2)` on it. Only the daemon adds
//!   entries; the others only mark them done, and only those of the
//!   generation (daemon start) that they were made for.
//!
//! The file is not synced to disk: page cache survives the death of a process,
//! and a reboot takes every effect of the kernel away anyway, which is why
//! entries from another boot are dropped.

mod claims;
#[cfg(test)]
mod crash_tests;
mod failpoint;
mod file;
mod replay;
mod slot;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use claims::{abandoned, claimed};
pub use file::JournalFile;
pub use replay::{ReplayReport, Replayed, Which, replay};

use crate::host::undo::{Undo, UndoError};
use file::SLOTS;
use slot::{Entry, Mark, State};

/// Name of the journal in the state directory.
pub const FILE_NAME: &str = "journal";

/// The undo journal of one daemon. Cheap to clone.
#[derive(Clone)]
pub struct Journal(Arc<Mutex<Inner>>);

/// Why an undo could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// All reserved space is taken by undos that are still needed.
    #[error("the undo journal is full: {pending} undos pending; end some faults first")]
    Full {
        /// How many entries are pending.
        pending: usize,
    },
    /// One undo does not fit.
    #[error("an undo of {bytes} bytes is more than the journal takes ({max})")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most that one entry may take.
        max: usize,
    },
    /// The file could not be written or locked.
    #[error("undo journal: {0}")]
    Io(#[from] io::Error),
}

struct Inner {
    file: JournalFile,
    used: Vec<bool>,
    /// Pending entries: where they are and when they fall due.
    pending: BTreeMap<u64, Placed>,
    due: BTreeSet<(u64, u64)>,
    next_seq: u64,
    /// Told about the earliest deadline, whenever it changes.
    listener: Option<Box<dyn Write + Send>>,
    told: Option<u64>,
    stuck: usize,
}

#[derive(Clone, Copy)]
struct Placed {
    slot: usize,
    span: usize,
    expires_boot_ns: u64,
}

impl Journal {
    /// Opens the journal of a state directory, reserving its space, and takes
    /// back what a dead daemon of the same boot left in it.
    ///
    /// # Errors
    /// When the file cannot be created, reserved or locked. Undos that fail are
    /// no error: the report names them, and they stay pending.
    pub fn open(state_dir: &Path) -> io::Result<(Self, ReplayReport)> {
        let file = JournalFile::create(&state_dir.join(FILE_NAME))?;
        let report = {
            let _lock = file.lock()?;
            let report = if file.is_of_this_boot()? {
                replay::replay_locked(&file, Which::All)?
            } else {
                file.wipe()?;
                ReplayReport::default()
            };
            file.start_generation()?;
            report
        };
        let mut inner = Inner {
            file,
            used: vec![false; SLOTS],
            pending: BTreeMap::new(),
            due: BTreeSet::new(),
            next_seq: 1,
            listener: None,
            told: None,
            stuck: report.failed().count(),
        };
        inner.adopt_leftovers()?;
        Ok((Self(Arc::new(Mutex::new(inner))), report))
    }

    /// Records an undo, before the effect is applied.
    ///
    /// # Errors
    /// When it could not be written; the effect must then not be applied.
    pub fn record(
        &self,
        owner: &str,
        expires_boot_ns: u64,
        undo: Undo,
    ) -> Result<Ticket, JournalError> {
        let entry = Entry { owner: owner.to_owned(), undo };
        let seq = self.inner().add(&entry, expires_boot_ns)?;
        Ok(Ticket { journal: self.clone(), seq, undo: entry.undo })
    }

    /// How many undos are pending, and how many of them could not be replayed.
    pub fn pending(&self) -> (usize, usize) {
        let inner = self.inner();
        (inner.pending.len(), inner.stuck)
    }

    /// The number of this daemon start, which its guardian is bound to.
    pub fn generation(&self) -> io::Result<u64> {
        self.inner().file.generation()
    }

    /// Names who learns about the earliest deadline: each change is written as
    /// eight bytes, nanoseconds on the boot clock, `u64::MAX` for none.
    pub fn set_listener(&self, listener: Option<Box<dyn Write + Send>>) {
        let mut inner = self.inner();
        inner.listener = listener;
        inner.told = None;
        inner.tell();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Entries that could not be replayed keep their place.
    fn adopt_leftovers(&mut self) -> io::Result<()> {
        for found in self.file.pending()? {
            let placed = Placed {
                slot: found.slot,
                span: found.span,
                expires_boot_ns: found.mark.expires_boot_ns,
            };
            self.used[placed.slot..placed.slot + placed.span].fill(true);
            // Not in `due`: the guardian has no better chance than the replay
            // that just failed, and would try again and again.
            self.pending.insert(found.seq, placed);
            self.next_seq = self.next_seq.max(found.seq + 1);
        }
        Ok(())
    }

    fn add(&mut self, entry: &Entry, expires_boot_ns: u64) -> Result<u64, JournalError> {
        let seq = self.next_seq;
        let chunks = slot::encode(seq, entry)?;
        let span = chunks.len();
        let Some(slot) = self.find_free(span) else {
            return Err(JournalError::Full { pending: self.pending.len() });
        };
        let mark = Mark { state: State::Pending, expires_boot_ns };
        {
            let _lock = self.file.lock()?;
            // The body first, marked free, then the mark: a torn body is
            // never read.
            self.file.write_body(slot, &chunks)?;
            self.file.write_mark(slot, seq, mark)?;
        }
        self.next_seq += 1;
        self.used[slot..slot + span].fill(true);
        self.pending.insert(seq, Placed { slot, span, expires_boot_ns });
        self.due.insert((expires_boot_ns, seq));
        self.tell();
        Ok(seq)
    }

    fn extend(&mut self, seq: u64, expires_boot_ns: u64) -> Result<(), JournalError> {
        let Some(placed) = self.pending.get(&seq).copied() else { return Ok(()) };
        // Effects are shared: a short fault that comes second must not have
        // them taken away from a longer one.
        if expires_boot_ns <= placed.expires_boot_ns {
            return Ok(());
        }
        {
            let _lock = self.file.lock()?;
            let mark = Mark { state: State::Pending, expires_boot_ns };
            self.file.write_mark(placed.slot, seq, mark)?;
        }
        self.due.remove(&(placed.expires_boot_ns, seq));
        self.due.insert((expires_boot_ns, seq));
        self.pending.insert(seq, Placed { expires_boot_ns, ..placed });
        self.tell();
        Ok(())
    }

    fn done(&mut self, seq: u64) -> io::Result<()> {
        let Some(placed) = self.pending.get(&seq).copied() else { return Ok(()) };
        {
            let _lock = self.file.lock()?;
            let mark = Mark { state: State::Done, expires_boot_ns: placed.expires_boot_ns };
            self.file.write_mark(placed.slot, seq, mark)?;
        }
        self.pending.remove(&seq);
        self.due.remove(&(placed.expires_boot_ns, seq));
        self.used[placed.slot..placed.slot + placed.span].fill(false);
        self.tell();
        Ok(())
    }

    fn find_free(&self, span: usize) -> Option<usize> {
        let mut run = 0;
        // Slot 0 is the header of the file.
        for slot in 1..SLOTS {
            run = if self.used[slot] { 0 } else { run + 1 };
            if run == span {
                return Some(slot + 1 - span);
            }
        }
        None
    }

    fn tell(&mut self) {
        let earliest = self.due.first().map_or(u64::MAX, |(at, _)| *at);
        if self.told == Some(earliest) {
            return;
        }
        let Some(listener) = &mut self.listener else { return };
        // A full or broken pipe: the guardian is stopped or dead, and whoever
        // watches it starts a new one. Try again at the next change.
        self.told = listener.write_all(&earliest.to_le_bytes()).is_ok().then_some(earliest);
    }
}

/// One recorded undo. Dropped without [`Ticket::undo`], it stays pending.
#[must_use = "an undo that nobody replays stays pending until the daemon ends"]
pub struct Ticket {
    journal: Journal,
    seq: u64,
    undo: Undo,
}

impl Ticket {
    /// Moves the time after which the guardian replays it even while the
    /// daemon lives (shared effects outlive the fault that came first).
    ///
    /// # Errors
    /// When the journal could not be written.
    pub fn extend(&self, expires_boot_ns: u64) -> Result<(), JournalError> {
        self.journal.inner().extend(self.seq, expires_boot_ns)
    }

    /// Marks the undo done without replaying it: the effect has been taken
    /// back in another way, or another entry covers what is left of it.
    ///
    /// # Errors
    /// When the journal could not be written.
    pub fn close(self) -> Result<(), JournalError> {
        Ok(self.journal.inner().done(self.seq)?)
    }

    /// Replays the undo and marks it done.
    ///
    /// # Errors
    /// When the effect could not be taken back; the entry stays pending.
    pub fn undo(self) -> Result<(), UndoError> {
        if let Err(e) = self.undo.replay() {
            self.journal.inner().stuck += 1;
            return Err(e);
        }
        self.journal.inner().done(self.seq).map_err(|e| UndoError {
            what: "the journal entry of an undo that was replayed".into(),
            reason: e.to_string(),
        })
    }
}
