//! Thresholds, and that what they name exists.

use std::time::Duration;

use super::Builder;
use crate::{
    figures,
    plan::Plan,
    scenario::{
        PhasePlan,
        read::{Located, Problem, TextOr},
    },
    threshold::{Known, Threshold, ThresholdError},
};

/// The first seconds of a run say little.
const DEFAULT_AFTER: Duration = Duration::from_secs(10);

impl Builder<'_> {
    pub(super) fn thresholds(
        &self,
        plan: &Plan,
        phases: &[PhasePlan],
    ) -> Result<Vec<Threshold>, Problem> {
        let built = self.file.thresholds.iter().enumerate().map(|(at, file)| {
            let threshold = match &file.value {
                TextOr::Text(text) => self.threshold(
                    &Located { place: file.place, value: text.clone() },
                    plan,
                    phases,
                ),
                TextOr::Full(full) => {
                    self.threshold(&full.check, plan, phases).and_then(|mut threshold| {
                        if full.abort && !threshold.can_abort() {
                            let message = format!("`{}` cannot end a run: `abort` goes with error_ratio, success_ratio, failed, errors.KIND, late, skipped and skipped_ratio, of the whole run", threshold.expression);
                            return Err(Problem::at(full.check.place, message));
                        }
                        let after = full.after.map_or(DEFAULT_AFTER, |a| a.get());
                        threshold.abort_after = full.abort.then(|| self.scaled(after));
                        Ok(threshold)
                    })
                }
            };
            threshold.map_err(|e| e.within(format!("[{at}]")).within("thresholds"))
        });
        built.collect()
    }

    fn threshold(
        &self,
        text: &Located<String>,
        plan: &Plan,
        phases: &[PhasePlan],
    ) -> Result<Threshold, Problem> {
        let threshold: Threshold = text
            .parse()
            .map_err(|e: ThresholdError| Problem::at(self.inside(text, e.at), e.message))?;
        let kinds = phases.iter().map(|p| figures::phase_kind(p.kind));
        let known = Known {
            plan,
            phases: phases.iter().map(|p| p.name.as_str()).chain(kinds).collect(),
            has_faults: !self.file.faults.is_empty(),
            probe: "`probe: { http: GET /health }`",
        };
        if let Some(message) = threshold.misfit(&known) {
            return Err(Problem::at(text.place, message));
        }
        Ok(threshold)
    }
}
