//! What reports show, as tables of texts: made once, drawn by each in its way.

mod errors;
mod ledger;
mod tables;

use serde::Serialize;

pub use tables::tables;

use crate::{
    figures::{count, maybe_ms, maybe_percent, ms, number},
    summary::{Summary, VerdictKind},
};

/// How good something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// Not as it should be.
    Bad,
    /// Neither.
    Plain,
}

/// A table.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// What it is about.
    pub title: &'static str,
    /// A sentence on how to read it.
    pub note: &'static str,
    /// Names of the columns; the first `text_columns` hold texts, the others figures.
    pub columns: Vec<&'static str>,
    /// How many columns hold texts.
    pub text_columns: usize,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A row of a table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// How good it is.
    pub tone: Tone,
    /// Its cells, as many as there are columns.
    pub cells: Vec<String>,
}

/// A figure that stands for itself.
#[derive(Debug, Clone, Serialize)]
pub struct Card {
    /// What it is.
    pub name: &'static str,
    /// How much.
    pub value: String,
    /// What else there is to it.
    pub note: String,
    /// How good it is.
    pub tone: Tone,
}

/// The verdict in a word, and how good it is.
pub fn verdict(summary: &Summary) -> (&'static str, Tone) {
    match summary.verdict.kind {
        VerdictKind::Passed => ("PASSED", Tone::Good),
        VerdictKind::Failed => ("FAILED", Tone::Bad),
        VerdictKind::Invalid => ("INVALID", Tone::Warn),
        VerdictKind::Error => ("NOT RUN TO ITS END", Tone::Bad),
    }
}

/// What a verdict means, in a sentence.
pub fn meaning(summary: &Summary) -> &'static str {
    match (summary.verdict.kind, summary.verdict.interrupted, summary.verdict.aborted) {
        (VerdictKind::Invalid, ..) => {
            "The generator was the bottleneck: the figures say nothing about the target."
        }
        (_, true, _) => "The run was interrupted; the figures are those until then.",
        (_, _, true) => "A threshold ended the run; the figures are those until then.",
        (VerdictKind::Passed, ..) => "Everything that was asked for was given.",
        (VerdictKind::Failed, ..) => "Not everything that was asked for was given.",
        (VerdictKind::Error, ..) => "The run could not be run to its end.",
    }
}

/// The figures that are looked at first.
pub fn cards(summary: &Summary) -> Vec<Card> {
    let total = &summary.total;
    let tone = |bad: bool| if bad { Tone::Bad } else { Tone::Plain };
    let mut cards = vec![
        Card {
            name: "requests",
            value: count(total.sent),
            note: match total.unfinished {
                0 => format!("{} due, {} skipped", count(total.due), count(total.skipped)),
                cut => format!(
                    "{} due, {} skipped, {} interrupted by the end",
                    count(total.due),
                    count(total.skipped),
                    count(cut)
                ),
            },
            tone: tone(total.skipped > 0),
        },
        Card {
            name: "rate",
            value: format!("{}/s", number(total.rate)),
            note: "good answers".into(),
            tone: Tone::Plain,
        },
        Card {
            name: "errors",
            value: maybe_percent(total.error_ratio),
            note: format!("{} requests", count(total.failed)),
            tone: tone(total.failed > 0),
        },
        Card {
            name: "p50",
            value: maybe_ms(total.latency.p50_ms),
            note: "from the due time".into(),
            tone: Tone::Plain,
        },
        Card {
            name: "p95",
            value: maybe_ms(total.latency.p95_ms),
            note: format!("p99 {}", maybe_ms(total.latency.p99_ms)),
            tone: Tone::Plain,
        },
        Card {
            name: "max",
            value: maybe_ms(total.latency.max_ms),
            note: format!("p99.9 {}", maybe_ms(total.latency.p99_9_ms)),
            tone: Tone::Plain,
        },
    ];
    if let Some(stream) = &total.stream {
        cards.push(Card {
            name: "first event p95",
            value: maybe_ms(stream.first_event.p95_ms),
            note: format!("between events p50 {}", maybe_ms(stream.between_events.p50_ms)),
            tone: Tone::Plain,
        });
    }
    let probes = summary.probes.iter().flat_map(|p| [&p.fresh, &p.pooled]).filter(|s| s.sent > 0);
    let worst = probes.min_by(|a, b| a.ok.saturating_mul(b.sent).cmp(&b.ok.saturating_mul(a.sent)));
    if let Some(stream) = worst {
        cards.push(Card {
            name: "availability",
            value: maybe_percent(stream.availability_ratio),
            note: format!("longest outage {}", ms(stream.longest_outage_s * 1000.0)),
            tone: tone(stream.ok < stream.sent),
        });
    }
    cards
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{figures::NONE, sample};

    #[test]
    fn every_row_has_a_cell_for_each_column() {
        let mut summary = sample::summary();
        summary.flows[0].steps[0].stats.stream = Some(Default::default());
        let tables = tables(&summary);
        assert_eq!(tables.len(), 12);
        for table in tables {
            for row in &table.rows {
                assert_eq!(
                    row.cells.len(),
                    table.columns.len(),
                    "{}: {:?}",
                    table.title,
                    row.cells
                );
            }
        }
    }

    #[test]
    fn a_result_without_anything_has_tables_too() {
        let empty = Summary::default();
        let titles: Vec<&str> = tables(&empty).iter().map(|t| t.title).collect();
        assert_eq!(titles, ["Flows and steps", "Generator"]);
        assert_eq!(cards(&empty)[2].value, NONE);
    }
}
