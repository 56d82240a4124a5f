//! Thresholds, and that what they name exists.

use std::time::Duration;

use super::Builder;
use crate::{
    figures,
    plan::{Plan, Request},
    scenario::{
        PhasePlan,
        read::{Located, Problem, TextOr},
    },
    threshold::{Metric, Threshold, ThresholdError},
    words,
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
                            let message = format!("`{}` cannot end a run: `abort` goes with counts and ratios of the whole run, such as error_ratio", threshold.expression);
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
        let scope = &threshold.scope;
        let kinds = phases.iter().map(|p| figures::phase_kind(p.kind));
        let phase_names: Vec<&str> = phases.iter().map(|p| p.name.as_str()).chain(kinds).collect();
        let flow_names: Vec<&str> = plan.flows.iter().map(|f| f.name.as_str()).collect();
        let flows = plan.flows.iter().filter(|f| scope.flow.as_ref().is_none_or(|w| *w == f.name));
        // Pauses are steps without figures.
        let requests = flows.flat_map(|f| &f.steps).filter(|s| !matches!(s.request, Request::None));
        let step_names: Vec<&str> = requests.map(|s| s.name.as_str()).collect();
        for (what, name, known) in [
            ("phase", &scope.phase, &phase_names),
            ("flow", &scope.flow, &flow_names),
            ("step", &scope.step, &step_names),
        ] {
            let Some(name) = name else { continue };
            if !known.contains(&name.as_str()) {
                let mut unique = known.clone();
                unique.dedup();
                let message =
                    format!("there is no {what} {name:?}{}", words::instead(name, &unique));
                return Err(Problem::at(text.place, message));
            }
        }
        let probed = matches!(
            threshold.metric,
            Metric::Availability | Metric::LongestOutage | Metric::Downtime | Metric::Recovery
        );
        if probed && plan.probe.is_none() {
            let message = format!(
                "`{}` is measured by the probe: say `probe: {{ http: GET /health }}`",
                threshold.metric
            );
            return Err(Problem::at(text.place, message));
        }
        let of_ledger = matches!(threshold.metric, Metric::LostWrites | Metric::DuplicatedWrites);
        if of_ledger && plan.ledger.is_none() {
            let message = format!(
                "`{}` is read from the ledger: say `ledger` at the top, and in the steps that write",
                threshold.metric
            );
            return Err(Problem::at(text.place, message));
        }
        if threshold.metric == Metric::Recovery && self.file.faults.is_empty() {
            return Err(Problem::at(
                text.place,
                "`recovery` is that from a fault: the scenario has none",
            ));
        }
        Ok(threshold)
    }
}
