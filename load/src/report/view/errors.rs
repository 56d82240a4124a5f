//! Tables of what failed, and of statuses.

use super::{Row, Table, Tone};
use crate::{
    figures::{count, percent},
    summary::{Stats, Summary},
};

const SAID: &str = "for example";

/// All errors and statuses of the run.
pub fn errors(summary: &Summary) -> Table {
    let total = &summary.total;
    let row = |tone, whose: &str, said: &str, (kind, n): (&String, &u64)| Row {
        tone,
        cells: vec![whose.into(), kind.clone(), said.into(), count(*n), share(*n, total)],
    };
    let of_kinds = total.errors.iter().map(|error| {
        let local = total.local_errors.contains_key(error.0);
        let (tone, whose) =
            if local { (Tone::Warn, "this machine") } else { (Tone::Bad, "target") };
        row(tone, whose, summary.error_example(error.0).unwrap_or_default(), error)
    });
    let is_good = |status: &str| status.starts_with('2') || status == "OK";
    let statuses = total.statuses.iter().filter(|(status, _)| !is_good(status));
    let statuses = statuses.map(|status| row(Tone::Plain, "status", "", status));
    Table {
        title: "Errors and statuses",
        note: "",
        columns: vec!["", "kind", SAID, "requests", "share"],
        text_columns: 3,
        rows: of_kinds.chain(statuses).collect(),
    }
}

/// Errors of each step, where more than one has any.
pub fn errors_of_steps(summary: &Summary) -> Table {
    let steps = summary.flows.iter().flat_map(|f| f.steps.iter().map(move |s| (f, s)));
    let failing: Vec<_> = steps.filter(|(_, step)| !step.stats.errors.is_empty()).collect();
    let several = failing.len() > 1;
    let rows = failing.into_iter().filter(|_| several).flat_map(|(flow, step)| {
        let stats = &step.stats;
        stats.errors.iter().map(move |(kind, n)| Row {
            tone: Tone::Bad,
            cells: vec![
                format!("{} / {}", flow.name, step.name),
                kind.clone(),
                stats.error_examples.get(kind).cloned().unwrap_or_default(),
                count(*n),
                share(*n, stats),
            ],
        })
    });
    Table {
        title: "Errors of steps",
        note: "",
        columns: vec!["flow / step", "kind", SAID, "requests", "share"],
        text_columns: 3,
        rows: rows.collect(),
    }
}

fn share(n: u64, of: &Stats) -> String {
    percent(n as f64 / of.finished().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn causes_stand_beside_counts_and_local_ones_are_told_once() {
        let mut summary = sample::summary();
        summary.total.errors = [("connect".to_owned(), 20), ("ports".to_owned(), 1)].into();
        summary.total.local_errors = [("ports".to_owned(), 1)].into();
        let step = &mut summary.flows[0].steps[0].stats;
        step.errors = [("connect".to_owned(), 20)].into();
        step.error_examples = [("connect".to_owned(), "Connection refused".to_owned())].into();
        let rows: Vec<_> = errors(&summary).rows.into_iter().map(|row| row.cells).collect();
        assert_eq!(rows[0][..4], ["target", "connect", "Connection refused", "20"]);
        assert_eq!(rows[1][..4], ["this machine", "ports", "", "1"]);
        assert_eq!(rows.iter().filter(|row| row[1] == "ports").count(), 1);
    }

    #[test]
    fn steps_are_told_apart_where_several_fail() {
        let mut summary = sample::summary();
        let failing = errors_of_steps(&summary).rows;
        assert_eq!(failing.len(), 4, "two steps, two kinds each: {failing:?}");
        summary.flows[0].steps[1].stats.errors.clear();
        assert!(errors_of_steps(&summary).rows.is_empty());
    }
}
