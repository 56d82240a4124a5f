//! Phases: those that were written, else those that the faults make.

use std::time::Duration;

use super::{Builder, dotless, moment, unique};
use crate::{
    scenario::{FaultPlan, PhasePlan, file::PhaseKindFile, read::Problem},
    summary::PhaseKind,
};

impl Builder<'_> {
    pub(super) fn phases(
        &self,
        faults: &[FaultPlan],
        end: Duration,
    ) -> Result<Vec<PhasePlan>, Problem> {
        let mut phases: Vec<PhasePlan> = Vec::new();
        for (at, file) in self.file.phases.iter().enumerate() {
            let within = |e: Problem| e.within(format!("[{at}]")).within("phases");
            let name = dotless(&file.name).map_err(|e| within(e.within("name")))?;
            let names = phases.iter().map(|p| p.name.as_str());
            unique(names, &name, file.name.place, "phase").map_err(within)?;
            let start = self.scaled(moment(&file.at).map_err(|e| within(e.within("at")))?);
            let wrong =
                |message: &str| Err(within(Problem::at(file.at.place, message).within("at")));
            match phases.last() {
                None if !start.is_zero() => {
                    return wrong("the first phase begins with the run: at 0s");
                }
                Some(last) if start <= last.start => {
                    return wrong("begins before the phase above it");
                }
                _ if start >= end => return wrong("begins when the load is over"),
                _ => {}
            }
            let kind = file.kind.map_or_else(|| kind_by_name(&name), kind);
            phases.push(PhasePlan { name, kind, start, end });
        }
        if phases.is_empty() {
            return Ok(from_faults(faults, end));
        }
        let starts: Vec<Duration> = phases.iter().skip(1).map(|p| p.start).collect();
        phases.iter_mut().zip(starts).for_each(|(phase, next)| phase.end = next);
        Ok(phases)
    }
}

fn kind(file: PhaseKindFile) -> PhaseKind {
    match file {
        PhaseKindFile::Baseline => PhaseKind::Baseline,
        PhaseKindFile::Fault => PhaseKind::Fault,
        PhaseKindFile::Recovery => PhaseKind::Recovery,
        PhaseKindFile::Other => PhaseKind::Other,
    }
}

fn kind_by_name(name: &str) -> PhaseKind {
    match name.split('-').next() {
        Some("baseline") => PhaseKind::Baseline,
        Some("fault") => PhaseKind::Fault,
        Some("recovery") => PhaseKind::Recovery,
        _ => PhaseKind::Other,
    }
}

/// Baseline until the first fault, then fault and recovery by turns; faults that overlap are one.
pub(super) fn from_faults(faults: &[FaultPlan], end: Duration) -> Vec<PhasePlan> {
    if faults.is_empty() {
        let phase =
            PhasePlan { name: "load".into(), kind: PhaseKind::Other, start: Duration::ZERO, end };
        return vec![phase];
    }
    let mut struck: Vec<(Duration, Duration)> = Vec::new();
    for fault in faults {
        let (start, stop) = (fault.start, (fault.start + fault.request.duration.get()).min(end));
        match struck.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(stop),
            _ => struck.push((start, stop)),
        }
    }
    let mut phases = Vec::new();
    let mut push = |name: &str, kind, number: usize, start: Duration, end: Duration| {
        if end > start {
            let name = if struck.len() > 1 && kind != PhaseKind::Baseline {
                format!("{name}-{number}")
            } else {
                name.to_owned()
            };
            phases.push(PhasePlan { name, kind, start, end });
        }
    };
    push("baseline", PhaseKind::Baseline, 0, Duration::ZERO, struck[0].0);
    for (at, (start, stop)) in struck.iter().enumerate() {
        let next = struck.get(at + 1).map_or(end, |(start, _)| *start);
        push("fault", PhaseKind::Fault, at + 1, *start, *stop);
        push("recovery", PhaseKind::Recovery, at + 1, *stop, next);
    }
    phases
}
