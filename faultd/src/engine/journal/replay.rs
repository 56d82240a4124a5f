//! Taking back what a journal holds.

use std::{io, time::Duration};

use super::file::{Found, JournalFile};
use super::slot::{Mark, State};

/// How long a guardian waits for the lock of a daemon that hangs inside it.
const LOCK_PATIENCE: Duration = Duration::from_millis(100);

/// Which entries are replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All that are pending: nobody else will.
    All,
    /// Those that expired at or before this time of the boot clock.
    Overdue(u64),
}

/// One entry that was replayed.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The fault (or shared effect) that it belonged to.
    pub owner: String,
    /// The effect, in words.
    pub what: String,
    /// Why it could not be taken back, if it could not.
    pub error: Option<String>,
}

/// What a replay did.
#[derive(Debug, Clone, Default)]
pub struct ReplayReport {
    /// In the order of the replay.
    pub entries: Vec<Replayed>,
    /// When the next pending entry expires on the boot clock.
    pub next_boot_ns: Option<u64>,
}

impl ReplayReport {
    /// The entries that could not be taken back.
    pub fn failed(&self) -> impl Iterator<Item = &Replayed> {
        self.entries.iter().filter(|e| e.error.is_some())
    }
}

/// Replays entries of a journal, if it is still that of `generation`: a later
/// daemon has already taken back what an earlier one left.
///
/// # Errors
/// When the file cannot be read. Entries that cannot be taken back are no
/// error: the report names them, and they stay pending.
pub fn replay(
    file: &JournalFile,
    generation: Option<u64>,
    which: Which,
) -> io::Result<ReplayReport> {
    // Without the lock, when the daemon was stopped while it held it: taking
    // back twice is harmless, only the marks must then be left to the daemon.
    let lock = match which {
        Which::All => Some(file.lock()?),
        Which::Overdue(_) => file.lock_within(LOCK_PATIENCE).ok(),
    };
    if !file.is_of_this_boot()? || generation.is_some_and(|g| file.generation().ok() != Some(g)) {
        return Ok(ReplayReport::default());
    }
    run(file, which, lock.is_some())
}

pub(super) fn replay_locked(file: &JournalFile, which: Which) -> io::Result<ReplayReport> {
    run(file, which, true)
}

fn run(file: &JournalFile, which: Which, mark: bool) -> io::Result<ReplayReport> {
    let mut pending = file.pending()?;
    // The newest effect first: it may lie on top of an older one.
    pending.sort_by_key(|found| std::cmp::Reverse(found.seq));
    let mut report = ReplayReport::default();
    for found in &pending {
        let due = match which {
            Which::All => true,
            Which::Overdue(now) => found.mark.expires_boot_ns <= now,
        };
        if !due {
            let at = found.mark.expires_boot_ns;
            report.next_boot_ns = Some(report.next_boot_ns.map_or(at, |next| next.min(at)));
            continue;
        }
        report.entries.push(take_back(file, found, mark));
    }
    Ok(report)
}

fn take_back(file: &JournalFile, found: &Found, mark: bool) -> Replayed {
    let mut error = found.entry.undo.replay().err().map(|e| e.to_string());
    if error.is_none() && mark {
        let done = Mark { state: State::Done, expires_boot_ns: found.mark.expires_boot_ns };
        error = file
            .write_mark(found.slot, found.seq, done)
            .err()
            .map(|e| format!("taken back, but not marked as done: {e}"));
    }
    Replayed { owner: found.entry.owner.clone(), what: found.entry.undo.to_string(), error }
}
