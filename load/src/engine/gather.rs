//! What the coordinator gathers while a run goes on: slices of seconds from all workers, signals.

use std::{collections::BTreeMap, io};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use super::{
    clock::Epoch,
    progress::{Observer, Progress},
    run::Stopper,
    worker::{Report, Stop},
};
use crate::{
    fitness::Usage,
    measure::{Phases, Slice, row},
    plan::Plan,
    schedule::{Rates, SECOND, Users, nanos},
    summary::Second,
};

/// What the coordinator has gathered so far.
pub(super) struct Gathering<'a> {
    /// What is run.
    pub plan: &'a Plan,
    pub workers: usize,
    pub phases: &'a Phases,
    pub stop: &'a watch::Sender<Stop>,
    pub epoch: Epoch,
    pub rates: &'a Rates,
    pub users: &'a Users,
    pub observer: &'a mut dyn Observer,
    /// Slices of seconds of which not all workers have told.
    pub slices: BTreeMap<u64, Vec<Slice>>,
    pub timeline: Vec<Second>,
    pub usage: Usage,
    /// Good answers and failures so far.
    pub counts: (u64, u64),
    /// A signal has ended it.
    pub interrupted: bool,
    /// Its observer has.
    pub aborted: bool,
    /// Requests that rows have told of as due, and as sent or skipped.
    pub told: (u64, u64),
}

impl Gathering<'_> {
    /// Listens until no worker has anything to tell any more.
    ///
    /// # Errors
    /// Signals cannot be waited for.
    pub async fn gather(&mut self, mut reports: mpsc::UnboundedReceiver<Report>) -> io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        loop {
            tokio::select! {
                report = reports.recv() => match report {
                    Some(report) => self.heard(report),
                    None => break,
                },
                _ = interrupt.recv() => self.interrupted(),
                _ = terminate.recv() => self.interrupted(),
            }
        }
        // Of the last seconds not all workers tell, as they do not end at the same moment.
        while let Some((second, slices)) = self.slices.pop_first() {
            self.over(second, &slices);
        }
        Ok(())
    }

    fn interrupted(&mut self) {
        self.interrupted = true;
        if *self.stop.borrow() == Stop::No {
            let in_flight = self.timeline.last().map(|second| second.in_flight);
            self.observer.interrupted(in_flight, self.plan.limits.grace);
        }
        Stopper(self.stop.clone()).stop();
    }

    fn heard(&mut self, report: Report) {
        self.usage.add(report.worker, &report.slice);
        let slices = self.slices.entry(report.second).or_default();
        slices.push(report.slice);
        if slices.len() == self.workers {
            let slices = self.slices.remove(&report.second).unwrap_or_default();
            self.over(report.second, &slices);
        }
    }

    /// All that will be told of `second` was told.
    fn over(&mut self, second: u64, slices: &[Slice]) {
        let start = second * SECOND;
        let now = self.epoch.now().min(start + SECOND);
        let nothing = slices.iter().all(Slice::is_empty);
        if nothing && self.rates.due_before(start + SECOND) == self.rates.due_before(start) {
            let planned = nanos(self.plan.duration());
            if start >= planned {
                return; // The workers have only told that they have ended.
            }
        }
        let mut row = row(slices);
        row.t_s = u32::try_from(second).unwrap_or(u32::MAX);
        row.length_s = now.saturating_sub(start) as f64 / SECOND as f64;
        let stopping = *self.stop.borrow() != Stop::No;
        if !stopping {
            row.due += self.rates.due_before(start + SECOND) - self.rates.due_before(start);
        } else {
            // What was due when it was stopped was begun or is among the skipped ones.
            row.due = (self.told.1 + row.sent + row.skipped).saturating_sub(self.told.0);
        }
        self.told.0 += row.due;
        self.told.1 += row.sent + row.skipped;
        self.usage.second();
        self.counts.0 += row.ok;
        self.counts.1 += row.failed;
        let progress = self.progress(now, stopping);
        if !self.observer.second(&row, &progress) && !stopping {
            self.aborted = true;
            Stopper(self.stop.clone()).stop();
        }
        self.timeline.push(row);
    }

    fn progress(&self, now: u64, stopping: bool) -> Progress {
        let plan = self.plan;
        // A second that is over is told at its very end: it belongs to what was, not what comes.
        let inside = now.saturating_sub(1);
        let mut end = 0;
        let stage = plan.stages.iter().find(|stage| {
            end += nanos(stage.duration);
            inside < end
        });
        let stage = stage.or(plan.stages.last());
        let marks = self.phases.marks();
        Progress {
            at_s: now as f64 / SECOND as f64,
            planned_s: plan.duration().as_secs_f64(),
            stage: stage.map(|stage| stage.name.clone()).unwrap_or_default(),
            phase: marks.last().map(|mark| mark.name.clone()).unwrap_or_default(),
            asked_rate: self.rates.rate_at(inside),
            asked_users: self.users.asked_at(inside),
            ok: self.counts.0,
            failed: self.counts.1,
            stopping,
        }
    }
}
