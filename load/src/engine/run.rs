//! The coordinator: starts workers and probe, gathers what they tell, stops them, adds up.

use std::{collections::BTreeMap, io, sync::Arc, thread, time::Duration};

use hdrhistogram::Histogram;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use super::{
    clock::Epoch,
    limits::{Limit, preflight, processors},
    prepare::{PrepareError, Prepared},
    progress::{Observer, Progress},
    sequence,
    worker::{self, Assignment, Record, Report, Stop},
};
use crate::{
    fitness::Usage,
    measure::{PhaseData, PhaseMark, Phases, Slice, growing, row},
    plan::Plan,
    probe,
    schedule::{Rates, SECOND, Users, nanos},
    summary::{PhaseKind, Second},
    template::Shared,
};

/// From the start of the threads to the start of the run: time for them to be there.
const LEAD: Duration = Duration::from_millis(50);

/// A run cannot be begun or gone on with.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The plan cannot be run.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// This host does not allow it.
    #[error("{0}")]
    Limit(String),
    /// A flow of the set-up failed.
    #[error("the set-up failed: {0}")]
    Setup(String),
    /// An event loop could not be set up, or broke.
    #[error("event loop: {0}")]
    Loop(#[from] io::Error),
    /// A thread died.
    #[error("a worker panicked")]
    Panic,
}

/// A plan about to be run.
#[derive(Debug)]
pub struct Run {
    prepared: Arc<Prepared>,
    epoch: Option<Epoch>,
    phases: Arc<Phases>,
    shared: Shared,
    workers: usize,
    warnings: Vec<Limit>,
    descriptor_limit: u64,
    stop: watch::Sender<Stop>,
}

/// Ends a run from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<Stop>);

impl Stopper {
    /// Nothing is begun any more; what is under way may end. The second time: at once.
    pub fn stop(&self) {
        self.0.send_modify(|stop| {
            *stop = if *stop == Stop::No { Stop::Gracefully } else { Stop::AtOnce };
        });
    }
}

/// What a run has recorded.
#[derive(Debug)]
pub struct Outcome {
    /// The plan.
    pub plan: Plan,
    /// Where phases began.
    pub marks: Vec<PhaseMark>,
    /// What was recorded in each.
    pub phases: Vec<PhaseData>,
    /// A row a second.
    pub timeline: Vec<Second>,
    /// What the probe saw.
    pub probe: Option<probe::Observed>,
    /// When the last request ended or the plan did, in nanoseconds since the start.
    pub end: u64,
    /// What the generator used and how late it was.
    pub usage: Usage,
    /// It was ended by a signal.
    pub interrupted: bool,
    /// It was ended by its observer.
    pub aborted: bool,
    /// What failed in the tear-down.
    pub teardown: Option<String>,
}

impl Run {
    /// Makes `plan` ready, looks at the limits of this host, and runs the set-up.
    ///
    /// # Errors
    /// Why it cannot be run.
    pub fn new(plan: Plan, shared: Shared) -> Result<Self, EngineError> {
        let (limits, descriptor_limit) = preflight(&plan);
        if let Some(limit) = limits.iter().find(|limit| limit.fatal) {
            return Err(EngineError::Limit(limit.text.clone()));
        }
        let workers = plan.limits.workers.unwrap_or_else(processors).max(1);
        let prepared = Arc::new(Prepared::new(plan)?);
        let flows = &prepared.plan.setup;
        let (shared, failed) = sequence::run(&prepared, flows, &prepared.setup, shared)?;
        if let Some(failed) = failed {
            return Err(EngineError::Setup(failed));
        }
        Ok(Self {
            prepared,
            epoch: None,
            phases: Arc::new(Phases::new("run", PhaseKind::Other)),
            shared,
            workers,
            warnings: limits,
            descriptor_limit,
            stop: watch::Sender::new(Stop::No),
        })
    }

    /// The run has phases, the first of them of this name.
    pub fn name_first_phase(&mut self, name: &str, kind: PhaseKind) {
        self.phases = Arc::new(Phases::new(name, kind));
    }

    /// The phases, to be cut while it runs.
    #[must_use]
    pub fn phases(&self) -> Arc<Phases> {
        Arc::clone(&self.phases)
    }

    /// Ends it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// What is short on this host, but may do.
    #[must_use]
    pub fn warnings(&self) -> &[Limit] {
        &self.warnings
    }

    /// The clock of the run, which starts a moment after the first call; [`Self::execute`] has to
    /// follow at once.
    pub fn begin(&mut self) -> Epoch {
        *self.epoch.get_or_insert_with(|| Epoch::after(LEAD))
    }

    /// Runs to the end. SIGINT and SIGTERM end it gracefully, twice at once.
    ///
    /// # Errors
    /// Something of this process broke; whatever targets do is no error.
    pub fn execute(mut self, observer: &mut dyn Observer) -> Result<Outcome, EngineError> {
        let epoch = self.begin();
        let plan = &self.prepared.plan;
        let rates = Arc::new(Rates::new(&plan.stages));
        let users = Arc::new(Users::new(&plan.stages));
        let (tell, reports) = mpsc::unbounded_channel();
        let probe = match &plan.probe {
            Some(probe) => Some(probe::Running::start(probe, epoch).map_err(|e| match e {
                probe::StartError::Target(e) => PrepareError::Target(e).into(),
                probe::StartError::Template(source) => {
                    EngineError::from(PrepareError::Template { step: "probe".into(), source })
                }
                probe::StartError::Loop(e) => EngineError::Loop(e),
            })?),
            None => None,
        };
        let mut threads = Vec::new();
        for index in 0..self.workers {
            let assignment = Assignment {
                index,
                workers: self.workers,
                prepared: Arc::clone(&self.prepared),
                rates: Arc::clone(&rates),
                users: Arc::clone(&users),
                epoch,
                phases: Arc::clone(&self.phases),
                shared: self.shared.clone(),
                stop: self.stop.subscribe(),
            };
            let tell = tell.clone();
            let thread = thread::Builder::new().name(format!("load-{index}"));
            threads.push(thread.spawn(move || worker::run(assignment, &tell))?);
        }
        drop(tell);
        let mut gathering = Gathering {
            run: &self,
            epoch,
            rates: &rates,
            users: &users,
            observer,
            slices: BTreeMap::new(),
            timeline: Vec::new(),
            usage: Usage::new(self.workers, self.descriptor_limit),
            counts: (0, 0),
            interrupted: false,
            aborted: false,
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(gathering.gather(reports))?;
        let Gathering { mut timeline, mut usage, interrupted, aborted, .. } = gathering;

        let mut records = Vec::new();
        for thread in threads {
            records.push(thread.join().map_err(|_| EngineError::Panic)??);
        }
        let probe = probe.and_then(|running| running.finish(&mut timeline));
        let planned = nanos(plan.duration());
        let ended = records.iter().map(|record| record.end).max().unwrap_or(0);
        let end = if interrupted || aborted { ended } else { ended.max(planned) };
        let (phases, lag) = added_up(records);
        usage.settle(&lag, plan);
        let prepared = &self.prepared;
        let (flows, steps) = (&prepared.plan.teardown, &prepared.teardown);
        let (_, teardown) = sequence::run(prepared, flows, steps, self.shared.clone())?;
        Ok(Outcome {
            marks: self.phases.marks(),
            phases,
            timeline,
            probe,
            end,
            usage,
            interrupted,
            aborted,
            teardown,
            plan: prepared.plan.clone(),
        })
    }
}

fn added_up(records: Vec<Record>) -> (Vec<PhaseData>, Histogram<u64>) {
    let mut lag = growing();
    let mut phases: Vec<PhaseData> = Vec::new();
    for record in records {
        // The sum grows as needed, so this cannot fail.
        let _grown = lag.add(&record.lag);
        for (at, data) in record.phases.into_iter().enumerate() {
            match phases.get_mut(at) {
                // A worker that nothing came to in the last phases has none of them.
                Some(sum) => sum.add(&data),
                None => phases.push(data),
            }
        }
    }
    (phases, lag)
}

/// What the coordinator has gathered so far.
struct Gathering<'a> {
    run: &'a Run,
    epoch: Epoch,
    rates: &'a Rates,
    users: &'a Users,
    observer: &'a mut dyn Observer,
    /// Slices of seconds of which not all workers have told.
    slices: BTreeMap<u64, Vec<Slice>>,
    timeline: Vec<Second>,
    usage: Usage,
    /// Good answers and failures so far.
    counts: (u64, u64),
    interrupted: bool,
    aborted: bool,
}

impl Gathering<'_> {
    async fn gather(&mut self, mut reports: mpsc::UnboundedReceiver<Report>) -> io::Result<()> {
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
        self.run.stopper().stop();
    }

    fn heard(&mut self, report: Report) {
        self.usage.add(report.worker, &report.slice);
        let slices = self.slices.entry(report.second).or_default();
        slices.push(report.slice);
        if slices.len() == self.run.workers {
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
            let planned = nanos(self.run.prepared.plan.duration());
            if start >= planned {
                return; // The workers have only told that they have ended.
            }
        }
        let mut row = row(slices);
        row.t_s = u32::try_from(second).unwrap_or(u32::MAX);
        row.length_s = now.saturating_sub(start) as f64 / SECOND as f64;
        let stopping = *self.run.stop.borrow() != Stop::No;
        if !stopping {
            row.due += self.rates.due_before(start + SECOND) - self.rates.due_before(start);
        } else {
            // What was due when it was stopped was begun or is among the skipped ones.
            row.due = row.due.max(row.sent + row.skipped);
        }
        self.usage.second();
        self.counts.0 += row.ok;
        self.counts.1 += row.failed;
        let progress = self.progress(now, stopping);
        if !self.observer.second(&row, &progress) && !stopping {
            self.aborted = true;
            self.run.stopper().stop();
        }
        self.timeline.push(row);
    }

    fn progress(&self, now: u64, stopping: bool) -> Progress {
        let plan = &self.run.prepared.plan;
        // A second that is over is told at its very end: it belongs to what was, not what comes.
        let inside = now.saturating_sub(1);
        let mut end = 0;
        let stage = plan.stages.iter().find(|stage| {
            end += nanos(stage.duration);
            inside < end
        });
        let stage = stage.or(plan.stages.last());
        let marks = self.run.phases.marks();
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
