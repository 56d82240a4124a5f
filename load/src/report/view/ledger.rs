//! Tables of the ledger.

use super::{Row, Table, Tone};
use crate::{
    figures::{NONE, count, seconds},
    summary::{Ledger, Summary},
};

/// What became of acknowledged writes.
pub fn ledger(summary: &Summary) -> Table {
    let row = |l: &Ledger| Row {
        tone: if l.lost + l.duplicated + l.unread > 0 { Tone::Bad } else { Tone::Good },
        cells: [
            l.acknowledged,
            l.found,
            l.lost,
            l.unread,
            l.duplicated,
            l.unknown,
            l.unknown_found,
            l.unknown_missing,
        ]
        .map(count)
        .to_vec(),
    };
    Table {
        title: "Acknowledged writes",
        note: "Each was read back after the load. Unknown ones were sent and neither acknowledged nor refused.",
        columns: vec![
            "acknowledged",
            "found",
            "lost",
            "unread",
            "duplicated",
            "unknown",
            "of these there",
            "not there",
        ],
        text_columns: 0,
        rows: summary.ledger.iter().map(row).collect(),
    }
}

/// Those of them that are not as they should be.
pub fn wrong_writes(summary: &Summary) -> Table {
    let ledger = summary.ledger.iter();
    let lost = ledger.clone().flat_map(|l| &l.examples).map(|lost| {
        let what = lost.found.as_ref().map_or("lost".into(), |found| format!("lost: {found}"));
        let at = seconds(lost.acknowledged_ms as f64 / 1000.0);
        Row { tone: Tone::Bad, cells: vec![what, lost.key.clone(), lost.phase.clone(), at] }
    });
    let twice = ledger.flat_map(|l| &l.duplicates).map(|twice| {
        let what = format!("there {} times", count(twice.times));
        Row { tone: Tone::Bad, cells: vec![what, twice.key.clone(), NONE.into(), NONE.into()] }
    });
    Table {
        title: "Lost and duplicated writes",
        note: "At most 20 of each; summary.json has up to 100.",
        columns: vec!["", "key", "phase", "acknowledged"],
        text_columns: 3,
        rows: lost.take(20).chain(twice.take(20)).collect(),
    }
}
