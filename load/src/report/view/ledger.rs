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

/// Rows of each kind.
const SHOWN: usize = 20;

/// Those of them that are not as they should be.
pub fn wrong_writes(summary: &Summary) -> Table {
    let mut rows = Vec::new();
    if let Some(ledger) = &summary.ledger {
        rows.extend(ledger.examples.iter().take(SHOWN).map(|lost| {
            let what = lost.found.as_ref().map_or("lost".into(), |found| format!("lost: {found}"));
            let at = seconds(lost.acknowledged_ms as f64 / 1000.0);
            Row { tone: Tone::Bad, cells: vec![what, lost.key.clone(), lost.phase.clone(), at] }
        }));
        rows.extend(more(ledger.lost, ledger.examples.len(), "lost"));
        rows.extend(ledger.duplicates.iter().take(SHOWN).map(|twice| {
            let what = format!("there {} times", count(twice.times));
            Row { tone: Tone::Bad, cells: vec![what, twice.key.clone(), NONE.into(), NONE.into()] }
        }));
        rows.extend(more(ledger.duplicated, ledger.duplicates.len(), "duplicated"));
    }
    Table {
        title: "Lost and duplicated writes",
        note: "summary.json has up to 100 of each.",
        columns: vec!["", "key", "phase", "acknowledged"],
        text_columns: 3,
        rows,
    }
}

/// What the table does not show of `all`, of which the result has `known`.
fn more(all: u64, known: usize, what: &str) -> Option<Row> {
    let rest = all.saturating_sub(known.min(SHOWN) as u64);
    let cells =
        vec![format!("and {} more {what}", count(rest)), NONE.into(), NONE.into(), NONE.into()];
    (rest > 0).then_some(Row { tone: Tone::Bad, cells })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{DuplicatedWrite, LostWrite};

    #[test]
    fn what_is_not_shown_is_counted() {
        let ledger = Ledger {
            lost: 130,
            duplicated: 1,
            examples: vec![LostWrite::default(); 100],
            duplicates: vec![DuplicatedWrite::default(); 1],
            ..Ledger::default()
        };
        let summary = Summary { ledger: Some(ledger), ..Summary::default() };
        let rows = wrong_writes(&summary).rows;
        assert_eq!(rows.len(), 20 + 1 + 1);
        assert_eq!(rows[20].cells[0], "and 110 more lost");
    }
}
