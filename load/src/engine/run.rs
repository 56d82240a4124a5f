//! The coordinator: starts workers and probe, gathers what they tell, stops them, adds up.

use std::{collections::BTreeMap, fs::File, io, sync::Arc, thread, time::Duration};

use hdrhistogram::Histogram;
use tokio::{
    runtime::Builder,
    sync::{mpsc, watch},
};

use super::{
    backlog,
    clock::Epoch,
    gather::Gathering,
    limits::{Limit, preflight, processors},
    outlets::Spools,
    prepare::{PrepareError, Prepared},
    probe::Probing,
    progress::Observer,
    readback::{self, Noted},
    sequence,
    worker::{self, Assignment, Record, Stop},
};
use crate::{
    fitness::Usage,
    measure::{PhaseData, PhaseMark, Phases, RawFormat, growing},
    plan::Plan,
    probe,
    schedule::{Rates, Users, nanos},
    spool::Spooled,
    summary::{Ledger, PhaseKind, Second},
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
    notes: Option<File>,
    raw: Option<(File, RawFormat)>,
}

/// Ends a run from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(pub(super) watch::Sender<Stop>);

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
    /// When nothing was begun any more, in nanoseconds since the start: when the plan ended, or
    /// when it was told to.
    pub load_end: u64,
    /// When the last request ended or was given up.
    pub end: u64,
    /// What the generator used and how late it was.
    pub usage: Usage,
    /// It was ended by a signal.
    pub interrupted: bool,
    /// A signal came while the ledger was read.
    pub reading_interrupted: bool,
    /// It was ended by its observer.
    pub aborted: bool,
    /// What failed in the tear-down.
    pub teardown: Option<String>,
    /// What became of the writes that were noted.
    pub ledger: Option<Ledger>,
    /// Raw samples: how many were written.
    pub raw: Option<Spooled>,
}

impl Run {
    /// Makes `plan` ready, looks at the limits of this host, and runs the set-up.
    ///
    /// # Errors
    /// Why it cannot be run.
    pub fn new(plan: Plan, shared: Shared) -> Result<Self, EngineError> {
        let (mut limits, descriptor_limit) = preflight(&plan);
        if let Some(limit) = limits.iter().find(|limit| limit.fatal) {
            return Err(EngineError::Limit(limit.text.clone()));
        }
        let workers = plan.limits.workers.unwrap_or_else(processors).max(1);
        let prepared = Arc::new(Prepared::new(plan)?);
        limits.extend(backlog::short(&prepared.plan, &prepared.endpoints));
        let flows = &prepared.plan.setup;
        let (shared, failed) = sequence::run(&prepared, flows, &prepared.setup, shared)?;
        if let Some(failed) = failed {
            // Steps before the one that failed may have left something.
            let flows = &prepared.plan.teardown;
            let (_, left) = sequence::run(&prepared, flows, &prepared.teardown, shared)?;
            let left = left.map(|left| format!("; so did the tear-down: {left}"));
            return Err(EngineError::Setup(failed + &left.unwrap_or_default()));
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
            notes: None,
            raw: None,
        })
    }

    /// Notes of writes go to `file` [default: one in the system's folder for temporary files that
    /// is gone afterwards].
    pub fn note_in(&mut self, file: File) {
        self.notes = Some(file);
    }

    /// Each attempt is written to `file`.
    pub fn samples_to(&mut self, file: File, format: RawFormat) {
        self.raw = Some((file, format));
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
        let probing = Probing::start(&self.prepared, &self.shared, epoch)?;
        let mut spools = Spools::start(plan, self.notes.take(), self.raw.take())?;
        let outlets = spools.outlets(plan);
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
                outlets: outlets.clone(),
                stop: self.stop.subscribe(),
            };
            let tell = tell.clone();
            let thread = thread::Builder::new().name(format!("load-{index}"));
            threads.push(thread.spawn(move || worker::run(assignment, &tell))?);
        }
        drop(tell);
        drop(outlets);
        let mut gathering = Gathering {
            plan,
            workers: self.workers,
            phases: &self.phases,
            stop: &self.stop,
            epoch,
            rates: &rates,
            users: &users,
            observer: &mut *observer,
            slices: BTreeMap::new(),
            timeline: Vec::new(),
            usage: Usage::new(self.workers, self.descriptor_limit),
            counts: (0, 0),
            interrupted: false,
            aborted: false,
            told: (0, 0),
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(gathering.gather(reports))?;
        let Gathering { mut timeline, mut usage, interrupted, aborted, .. } = gathering;

        let mut records = Vec::new();
        for thread in threads {
            records.push(thread.join().map_err(|_| EngineError::Panic)??);
        }
        let probe = probing.and_then(|probing| probing.finish(&mut timeline));
        let planned = nanos(plan.duration());
        let ended = records.iter().map(|record| record.end).max().unwrap_or(0);
        let load_end = records.iter().map(|record| record.load_end).max().unwrap_or(planned);
        let end = ended.max(load_end);
        let (phases, lag) = added_up(records);
        usage.settle(&lag, plan);
        let prepared = &self.prepared;
        observer.load_over();
        let raw = spools.raw.take().map(|(spool, _)| spool.finish()).transpose()?;
        let mut reading_interrupted = false;
        let ledger = match (&prepared.plan.ledger, spools.notes) {
            (Some(plan), Some(notes)) => {
                let noted = Noted { spooled: notes.finish()?, marks: self.phases.marks() };
                let (ledger, interrupted) = readback::run(prepared, plan, &self.shared, noted)?;
                reading_interrupted = interrupted;
                Some(ledger)
            }
            _ => None,
        };
        let (flows, steps) = (&prepared.plan.teardown, &prepared.teardown);
        let (_, teardown) = sequence::run(prepared, flows, steps, self.shared.clone())?;
        Ok(Outcome {
            marks: self.phases.marks(),
            phases,
            timeline,
            probe,
            load_end,
            end,
            usage,
            interrupted,
            reading_interrupted,
            aborted,
            teardown,
            ledger,
            raw,
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
