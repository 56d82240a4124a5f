//! Which faults are in force now, for those who look on.

use std::sync::{Arc, Mutex, PoisonError};

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
    pub(super) fn begun(&self, number: usize, name: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((number, name));
    }

    /// It is over.
    pub(super) fn ended(&self, number: usize) {
        let mut active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        active.retain(|(other, _)| *other != number);
    }
}
