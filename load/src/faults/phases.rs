//! Where phases are cut.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{measure::Phases, scenario::PhasePlan, summary::PhaseKind};

/// Cuts the phases that the faults make. Where the scenario has written phases, it cuts none.
pub(super) struct Cutter {
    marks: Arc<Phases>,
    state: Mutex<State>,
    /// The scenario's own phases count, or there are no faults.
    is_idle: bool,
    /// Stretches of faults that are planned: with more than one, phases are numbered.
    stretches: usize,
}

#[derive(Default)]
struct State {
    active: usize,
    number: usize,
    /// At least one phase was cut or the run began with one.
    has_baseline: bool,
}

impl Cutter {
    pub(super) fn new(marks: Arc<Phases>, plan: &[PhasePlan], from_faults: bool) -> Self {
        let stretches = plan.iter().filter(|p| p.kind == PhaseKind::Fault).count();
        let has_baseline = plan.first().is_some_and(|p| p.kind != PhaseKind::Fault);
        let state = Mutex::new(State { has_baseline, ..State::default() });
        Self { marks, state, is_idle: !from_faults, stretches }
    }

    /// A fault came into force at `at`, in nanoseconds of the run.
    pub(super) fn begun(&self, at: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.active += 1;
        if state.active > 1 || self.is_idle {
            return;
        }
        state.number += 1;
        // A run that begins with a fault has its first phase already.
        if state.number > 1 || state.has_baseline {
            self.marks.cut(at, self.name("fault", state.number), PhaseKind::Fault);
        }
    }

    /// A fault was over at `at`.
    pub(super) fn ended(&self, at: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.active = state.active.saturating_sub(1);
        if state.active == 0 && !self.is_idle {
            self.marks.cut(at, self.name("recovery", state.number), PhaseKind::Recovery);
        }
    }

    fn name(&self, kind: &str, number: usize) -> String {
        // More stretches than planned: faults that were to touch did not quite.
        let numbered = self.stretches > 1 || number > self.stretches;
        if numbered { format!("{kind}-{number}") } else { kind.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn plan(kinds: &[PhaseKind]) -> Vec<PhasePlan> {
        let phase = |kind: &PhaseKind| PhasePlan {
            name: "x".into(),
            kind: *kind,
            start: Duration::ZERO,
            end: Duration::ZERO,
        };
        kinds.iter().map(phase).collect()
    }

    fn names(kinds: &[PhaseKind], events: &[(u64, bool)]) -> Vec<(u64, String)> {
        let marks = Arc::new(Phases::new("first", PhaseKind::Other));
        let cutter = Cutter::new(Arc::clone(&marks), &plan(kinds), true);
        for (at, begins) in events {
            if *begins { cutter.begun(*at) } else { cutter.ended(*at) }
        }
        marks.marks().into_iter().map(|m| (m.start, m.name)).collect()
    }

    #[test]
    fn overlapping_faults_are_one_phase() {
        use PhaseKind::{Baseline, Fault, Recovery};
        let cut = names(
            &[Baseline, Fault, Recovery],
            &[(10, true), (15, true), (20, false), (30, false)],
        );
        assert_eq!(cut, [(0, "first".into()), (10, "fault".into()), (30, "recovery".into())]);
        let cut =
            names(&[Baseline, Fault, Recovery, Fault], &[(10, true), (20, false), (30, true)]);
        assert_eq!(
            cut[1..],
            [(10, "fault-1".into()), (20, "recovery-1".into()), (30, "fault-2".into())]
        );
    }

    #[test]
    fn a_run_that_begins_with_a_fault_has_no_second_phase_of_it() {
        use PhaseKind::{Fault, Recovery};
        let cut = names(&[Fault, Recovery], &[(1, true), (20, false)]);
        assert_eq!(cut, [(0, "first".into()), (20, "recovery".into())]);
    }
}
