//! What a worker writes down of single requests while it runs: notes of writes, raw samples.

use std::{
    fs::File,
    io::{self, Write},
};

use crate::{
    ledger::Note,
    measure::{Attempted, RawFormat, RawWriter, Sample, Traffic},
    plan::Plan,
    spool::{Feed, Spool, WhenFull},
};

/// The files that all workers write to.
#[derive(Debug)]
pub(super) struct Spools {
    /// Notes of writes, if there is a ledger.
    pub notes: Option<Spool>,
    /// Raw samples, if somebody wants them.
    pub raw: Option<(Spool, RawFormat)>,
}

impl Spools {
    /// What `plan` needs, in the files that are given; notes go to one that is gone afterwards
    /// unless there is one.
    ///
    /// # Errors
    /// A file cannot be made or written.
    pub fn start(
        plan: &Plan,
        notes: Option<File>,
        raw: Option<(File, RawFormat)>,
    ) -> io::Result<Self> {
        let notes = match (&plan.ledger, notes) {
            (None, _) => None,
            (Some(_), Some(file)) => Some(file),
            (Some(_), None) => Some(tempfile::tempfile()?),
        };
        let raw = raw.map(|(mut file, format)| {
            file.write_all(RawWriter::head(format).as_bytes())?;
            io::Result::Ok((Spool::start(file, WhenFull::Drop)?, format))
        });
        Ok(Self {
            // A note that is missing would hide a loss.
            notes: notes.map(|file| Spool::start(file, WhenFull::Wait)).transpose()?,
            raw: raw.transpose()?,
        })
    }

    /// For a worker.
    pub fn outlets(&self, plan: &Plan) -> Outlets {
        let raw = self.raw.as_ref();
        Outlets {
            ledger: self.notes.as_ref().map(Spool::feed),
            raw: raw.map(|(spool, format)| RawWriter::new(spool.feed(), *format, plan)),
        }
    }
}

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
