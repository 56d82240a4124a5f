//! What a worker writes down of single requests while it runs: notes of writes, raw samples.

use crate::{
    ledger::Note,
    measure::{Attempted, RawWriter, Sample, Traffic},
    spool::Feed,
};

/// Where it goes; what nobody has asked for goes nowhere.
#[derive(Debug, Clone, Default)]
pub struct Outlets {
    /// Notes of writes.
    pub ledger: Option<Feed>,
    /// Raw samples.
    pub raw: Option<RawWriter>,
}

impl Outlets {
    /// Notes a write.
    pub fn note(&mut self, note: &Note) {
        if let Some(feed) = &mut self.ledger {
            feed.line(|out| note.write(out));
        }
    }

    /// Writes down an attempt.
    pub fn attempt(&mut self, attempted: &Attempted<'_>) {
        if let Some(raw) = &mut self.raw {
            raw.attempt(attempted);
        }
    }

    /// Writes down a request that the end of the run interrupted at `now`, and the write that it
    /// may have been.
    pub fn interrupted(&mut self, step: usize, user: u64, due: u64, now: u64, note: Option<Note>) {
        if let Some(note) = note {
            self.note(&Note { at_ns: now, unknown: true, ..note });
        }
        let (sample, before) = (Sample { due, ..Sample::default() }, Traffic::default());
        let error = Some("interrupted");
        let (sample, before) = (&sample, &before);
        self.attempt(&Attempted { step, user, attempt: 1, last: true, sample, before, error });
    }
}
