//! Which faults are in force now, for those who look on.

use std::sync::{Arc, Mutex, PoisonError};

use super::phases::Cutter;
use crate::summary::FaultRecord;

/// Names of the faults that are in force, in the order in which they began.
#[derive(Debug, Clone, Default)]
pub struct Active(Arc<Mutex<Vec<(usize, String)>>>);

impl Active {
    /// Their names: labels, or kinds where there are none.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        active.iter().map(|(_, name)| name.clone()).collect()
    }

    /// Fault number `number` came into force.
    fn begun(&self, number: usize, name: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((number, name));
    }

    /// It is over.
    fn ended(&self, number: usize) {
        let mut active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        active.retain(|(other, _)| *other != number);
    }
}

/// Those who are told when a fault begins and ends.
pub(super) struct Watched {
    pub cutter: Arc<Cutter>,
    pub active: Active,
    /// Which fault.
    pub number: usize,
}

impl Watched {
    /// It came into force at `at`, in nanoseconds of the run.
    pub fn begun(&self, at: u64, record: &FaultRecord) {
        self.cutter.begun(at);
        let name = record.label.as_ref().unwrap_or(&record.kind);
        self.active.begun(self.number, name.clone());
    }

    /// It was over at `at`.
    pub fn ended(&self, at: u64) {
        self.cutter.ended(at);
        self.active.ended(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure::Phases, summary::PhaseKind};

    #[test]
    fn names_come_and_go_with_faults() {
        let marks = Arc::new(Phases::new("baseline", PhaseKind::Baseline));
        let cutter = Arc::new(Cutter::new(marks, &[], false));
        let active = Active::default();
        let watched =
            |number| Watched { cutter: Arc::clone(&cutter), active: active.clone(), number };
        let record = |label: Option<&str>| FaultRecord {
            kind: "latency".into(),
            label: label.map(str::to_owned),
            ..FaultRecord::default()
        };
        watched(0).begun(1, &record(None));
        watched(1).begun(2, &record(Some("slow disk")));
        assert_eq!(active.names(), ["latency", "slow disk"]);
        watched(0).ended(3);
        assert_eq!(active.names(), ["slow disk"]);
        watched(1).ended(4);
        assert!(active.names().is_empty());
    }
}
