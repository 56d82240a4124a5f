//! From what was found to the figures of the summary.

use super::Note;
use crate::{
    measure::PhaseMark,
    summary::{DuplicatedWrite, Ledger, LostWrite},
};

/// Writes that are listed by name at most, of each sort.
const EXAMPLES: usize = 100;

/// What was found of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is there so many times, at least once.
    Times(u64),
    /// It is not there.
    Nothing,
    /// Something else is there, as this says.
    Different(String),
}

/// Adds up what was found.
#[derive(Debug)]
pub(crate) struct Tally {
    marks: Vec<PhaseMark>,
    pub ledger: Ledger,
}

impl Tally {
    pub(crate) fn new(marks: Vec<PhaseMark>) -> Self {
        Self { marks, ledger: Ledger::default() }
    }

    /// There is this note, of whatever will be found.
    pub(crate) fn noted(&mut self, note: &Note) {
        match note.unknown {
            true => self.ledger.unknown += 1,
            false => self.ledger.acknowledged += 1,
        }
    }

    /// That was found.
    pub(crate) fn found(&mut self, note: &Note, found: &Found) {
        match (found, note.unknown) {
            (Found::Times(times), _) => {
                let count = if note.unknown {
                    &mut self.ledger.unknown_found
                } else {
                    &mut self.ledger.found
                };
                *count += 1;
                if *times > 1 {
                    self.duplicated(note.key.as_deref().unwrap_or_default(), *times);
                }
            }
            (Found::Nothing | Found::Different(_), true) => self.ledger.unknown_missing += 1,
            (Found::Nothing, false) => self.lost(note, None),
            (Found::Different(what), false) => self.lost(note, Some(what.clone())),
        }
    }

    /// There are so many of one that is to be there once.
    pub(crate) fn duplicated(&mut self, key: &str, times: u64) {
        self.ledger.duplicated += 1;
        if self.ledger.duplicates.len() < EXAMPLES {
            self.ledger.duplicates.push(DuplicatedWrite { key: key.to_owned(), times });
        }
    }

    fn lost(&mut self, note: &Note, found: Option<String>) {
        self.ledger.lost += 1;
        if self.ledger.examples.len() < EXAMPLES {
            let phase = self.marks.iter().rev().find(|mark| mark.start <= note.at_ns);
            self.ledger.examples.push(LostWrite {
                key: note.key.clone().unwrap_or_default(),
                acknowledged_ms: note.at_ns / 1_000_000,
                phase: phase.map(|mark| mark.name.clone()).unwrap_or_default(),
                found,
            });
        }
    }

    /// Why some were not read back: the first reason counts.
    pub(crate) fn why_unread(&mut self, why: &str) {
        if self.ledger.unread_reason.is_none() && !why.is_empty() {
            self.ledger.unread_reason = Some(why.to_owned());
        }
    }

    /// All in all; `dropped` notes never came to the file.
    pub(crate) fn settled(mut self, dropped: u64) -> Ledger {
        let ledger = &mut self.ledger;
        ledger.acknowledged += dropped;
        ledger.unread = ledger.acknowledged.saturating_sub(ledger.found + ledger.lost);
        // As they were written, not as their answers came.
        ledger.examples.sort_by_key(|lost| lost.acknowledged_ms);
        if ledger.unread == 0 {
            ledger.unread_reason = None;
        }
        self.ledger
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::PhaseKind;

    #[test]
    fn each_note_ends_up_in_one_place() {
        let mark =
            |start, name: &str| PhaseMark { start, name: name.into(), kind: PhaseKind::Other };
        let mut tally = Tally::new(vec![mark(0, "baseline"), mark(5_000_000, "fault")]);
        let note = |key: &str, unknown| Note {
            key: Some(key.into()),
            at_ns: 7_000_000,
            unknown,
            ..Note::default()
        };
        let cases = [
            (note("there", false), Some(Found::Times(1))),
            (note("twice", false), Some(Found::Times(2))),
            (note("lost", false), Some(Found::Nothing)),
            (note("other", false), Some(Found::Different("a check".into()))),
            (note("unread", false), None),
            (note("may be there", true), Some(Found::Times(1))),
            (note("may be twice", true), Some(Found::Times(3))),
            (note("may be gone", true), Some(Found::Nothing)),
            (note("nobody knows", true), None),
        ];
        for (note, found) in &cases {
            tally.noted(note);
            if let Some(found) = found {
                tally.found(note, found);
            }
        }
        tally.why_unread("reset");
        let ledger = tally.settled(0);
        assert_eq!((ledger.acknowledged, ledger.found, ledger.lost, ledger.unread), (5, 2, 2, 1));
        assert_eq!((ledger.unknown, ledger.unknown_found, ledger.unknown_missing), (4, 2, 1));
        assert_eq!(ledger.duplicated, 2);
        let lost = LostWrite {
            key: "lost".into(),
            acknowledged_ms: 7,
            phase: "fault".into(),
            found: None,
        };
        assert_eq!(ledger.examples[0], lost);
        assert_eq!(ledger.examples[1].found.as_deref(), Some("a check"));
        assert_eq!(ledger.unread_reason.as_deref(), Some("reset"));
    }
}
