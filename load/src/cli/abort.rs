//! Thresholds that end a run.

use crate::{
    engine::Progress,
    summary::{Second, Summary, ThresholdResult},
    threshold::Threshold,
};

/// Adds up the seconds of a run and looks at the thresholds that may end it. These are about
/// counts, which seconds add up to; scenarios with others are refused.
pub(super) struct Abort {
    thresholds: Vec<Threshold>,
    so_far: Summary,
    /// The one that ended the run.
    pub(super) broken: Option<ThresholdResult>,
}

impl Abort {
    pub(super) fn new(thresholds: &[Threshold]) -> Self {
        let thresholds = thresholds.iter().filter(|t| t.abort_after.is_some()).cloned().collect();
        Self { thresholds, so_far: Summary::default(), broken: None }
    }

    /// Whether the run may go on.
    pub(super) fn second(&mut self, row: &Second, progress: &Progress) -> bool {
        let total = &mut self.so_far.total;
        total.due += row.due;
        total.sent += row.sent;
        total.ok += row.ok;
        total.failed += row.failed;
        total.late += row.late;
        total.skipped += row.skipped;
        total.duration_s += row.length_s;
        for (kind, count) in &row.errors {
            *total.errors.entry(kind.clone()).or_default() += count;
        }
        total.settle();
        let due = self.thresholds.iter().filter(|threshold| {
            threshold.abort_after.is_some_and(|after| progress.at_s >= after.as_secs_f64())
        });
        let results = due.map(|threshold| threshold.evaluate(&self.so_far));
        // Without samples yet nothing is broken yet; at the end it is.
        let broken = results.filter(|r| r.measured.is_some()).find(|r| !r.passed);
        self.broken = broken.map(|result| ThresholdResult { aborted: true, ..result });
        self.broken.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_when_its_threshold_is_broken_and_not_before_its_time() {
        let mut threshold: Threshold = "error_ratio < 50%".parse().unwrap();
        threshold.abort_after = Some(std::time::Duration::from_secs(3));
        let mut abort = Abort::new(&[threshold, "error_ratio < 1%".parse().unwrap()]);
        let second =
            |failed| Second { ok: 10 - failed, failed, length_s: 1.0, ..Second::default() };
        let at = |at_s| Progress {
            at_s,
            planned_s: 9.0,
            stage: String::new(),
            phase: String::new(),
            asked_rate: 0.0,
            asked_users: 0,
            ok: 0,
            failed: 0,
            stopping: false,
        };
        assert!(abort.second(&second(10), &at(1.0)) && abort.second(&second(0), &at(2.0)));
        assert!(!abort.second(&second(8), &at(3.0)));
        assert_eq!(abort.broken.unwrap().text, "error_ratio is 60%");
    }
}
