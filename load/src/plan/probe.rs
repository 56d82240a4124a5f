//! The availability probe.

use std::time::Duration;

use super::{Request, Step};

/// The availability probe: small requests of its own, beside the load.
#[derive(Debug, Clone)]
pub struct ProbePlan {
    /// What it asks, how long the answer may take, and what must hold for it.
    pub step: Step,
    /// Between two probes of one kind (fresh connection, pooled connection).
    pub every: Duration,
}

impl ProbePlan {
    /// Fifty probes a second of each kind, with a second for the answer.
    #[must_use]
    pub fn new(name: impl Into<String>, request: Request) -> Self {
        let mut step = Step::new(name, request);
        step.timeout = Duration::from_secs(1);
        Self { step, every: Duration::from_millis(20) }
    }

    /// Requests that may wait for their answers at once, each on a connection of its own.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let each = self.step.timeout.as_nanos().div_ceil(self.every.as_nanos().max(1));
        u64::try_from(each).unwrap_or(u64::MAX).saturating_mul(2)
    }
}
