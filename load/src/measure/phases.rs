//! Parts of the run with figures of their own, cut while it goes on.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use crate::summary::PhaseKind;

/// Where a phase begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseMark {
    /// Nanoseconds since the start of the run.
    pub start: u64,
    /// Its name; unique in the run.
    pub name: String,
    /// What it is for.
    pub kind: PhaseKind,
}

/// The phases so far, shared by all threads. A request belongs to the phase in which it was due.
#[derive(Debug)]
pub struct Phases {
    marks: Mutex<Vec<PhaseMark>>,
    count: AtomicUsize,
}

impl Phases {
    /// One phase, from the start on.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: PhaseKind) -> Self {
        let mark = PhaseMark { start: 0, name: name.into(), kind };
        Self { marks: Mutex::new(vec![mark]), count: AtomicUsize::new(1) }
    }

    /// Begins a phase at `start` (nanoseconds since the start of the run), which may be a moment
    /// ago: requests due since then that have not ended yet count in it.
    pub fn cut(&self, start: u64, name: impl Into<String>, kind: PhaseKind) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let start = marks.last().map_or(start, |last| start.max(last.start));
        marks.push(PhaseMark { start, name: name.into(), kind });
        self.count.store(marks.len(), Ordering::Release);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// All of them, in order.
    #[must_use]
    pub fn marks(&self) -> Vec<PhaseMark> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
