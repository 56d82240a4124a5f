//! The one step of a syscall fault: its rule.

use std::sync::Arc;

use faultd_api::PlanStep;

use super::table::{Counts, RuleSpec, Slot, Table};
use crate::engine::plan::{Applied, ApplyCx, Observation, Step, StepError};

/// Puts a rule in force.
pub struct RuleStep {
    /// The family's rules.
    pub table: Arc<Table>,
    /// In words.
    pub description: PlanStep,
    /// The rule, but for seed and expiry.
    pub spec: RuleSpec,
}

impl Step for RuleStep {
    fn describe(&self) -> PlanStep {
        self.description.clone()
    }

    fn apply(mut self: Box<Self>, cx: &ApplyCx<'_>) -> Result<Box<dyn Applied>, StepError> {
        self.spec.expires_boot_ns = cx.expires_boot_ns;
        self.spec.seed = cx.seed;
        let slot = self
            .table
            .add(&self.spec)
            .map_err(|e| StepError::new(self.description.apply.clone(), e))?;
        Ok(Box::new(AppliedRule { table: self.table, slot: Some(slot) }))
    }
}

/// A rule in force.
struct AppliedRule {
    table: Arc<Table>,
    slot: Option<Slot>,
}

impl Applied for AppliedRule {
    fn revert(&mut self) -> Result<(), StepError> {
        let Some(slot) = self.slot.take() else { return Ok(()) };
        self.table.remove(slot).map_err(|e| StepError::new("taking back a syscall rule", e))
    }

    fn observe(&mut self) -> Observation {
        let mut seen = Observation::default();
        let Some(slot) = self.slot else { return seen };
        let Counts { matched, failed, missed } = self.table.counts(slot);
        seen.counters.matched = matched;
        seen.counters.affected = failed;
        if missed > 0 {
            seen.counters.more.insert("missed".to_owned(), missed);
        }
        if matched > 0 {
            let share = 100.0 * failed as f64 / matched as f64;
            seen.achieved.insert("percent".to_owned(), share);
        }
        seen
    }
}

impl Drop for AppliedRule {
    fn drop(&mut self) {
        // Only a daemon that is unwinding gets here with something in force.
        if let Err(error) = self.revert() {
            tracing::error!(%error, "syscall rule left behind");
        }
    }
}
