//! Injecting, renewing and taking back.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use faultd_api::{
    Fault, State,
    client::{Client, ClientError},
};

use super::{Active, active::Watched, phases::Cutter};
use crate::{
    engine::Epoch,
    measure::Phases,
    scenario::{FaultPlan, PhasePlan},
    schedule::nanos,
    summary::FaultRecord,
};

/// How long the daemon may take to say that a fault is over, after its time was up.
const GRACE: Duration = Duration::from_secs(10);
/// Between two questions whether it is.
const POLL: Duration = Duration::from_millis(50);

/// The faults cannot be driven.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The daemon does not answer, or would refuse a fault.
    #[error("{fault}: {cause}")]
    Refused {
        /// Which fault.
        fault: String,
        /// Why.
        cause: Box<ClientError>,
    },
    /// No event loop for the client.
    #[error(transparent)]
    Client(#[from] Box<ClientError>),
}

/// Faults that are about to be driven: the daemon was asked and would inject each of them.
#[derive(Debug)]
pub struct Driver {
    socket: PathBuf,
    faults: Vec<FaultPlan>,
    phases: Vec<PhasePlan>,
}

/// Whether a fault could not be injected.
#[derive(Debug, Clone, Default)]
pub struct Broken(Arc<AtomicBool>);

impl Broken {
    /// Whether it is so.
    #[must_use]
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Set once, when the run is over; threads that sleep wake up.
#[derive(Default)]
struct Over {
    flag: Mutex<bool>,
    changed: Condvar,
}

impl Over {
    fn set(&self) {
        *self.flag.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Sleeps until `until`, in nanoseconds of the run; says whether the run was over before.
    fn sleeps_until(&self, epoch: Epoch, until: u64) -> bool {
        let mut flag = self.flag.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = until.saturating_sub(epoch.now());
            if *flag || left == 0 {
                return *flag;
            }
            let time = Duration::from_nanos(left);
            flag = self.changed.wait_timeout(flag, time).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Faults that are being driven.
pub struct Running {
    threads: Vec<JoinHandle<FaultRecord>>,
    phases: Option<JoinHandle<()>>,
    over: Arc<Over>,
    broken: Broken,
    active: Active,
}

impl Driver {
    /// Asks the daemon behind `socket` whether it would inject all of `faults`; without faults
    /// nobody is asked.
    ///
    /// # Errors
    /// The first fault that it would refuse, and why: before any load is sent.
    pub fn new(
        socket: &Path,
        faults: Vec<FaultPlan>,
        phases: Vec<PhasePlan>,
    ) -> Result<Self, DriverError> {
        if !faults.is_empty() {
            let client = Client::new(socket).map_err(Box::new)?;
            for fault in &faults {
                client.plan(&fault.request).map_err(|cause| DriverError::Refused {
                    fault: fault.text.clone(),
                    cause: Box::new(cause),
                })?;
            }
        }
        Ok(Self { socket: socket.to_owned(), faults, phases })
    }

    /// Begins to drive them, by the clock of the run.
    #[must_use]
    pub fn start(self, epoch: Epoch, marks: Arc<Phases>) -> Running {
        let over = Arc::new(Over::default());
        let (broken, active) = (Broken::default(), Active::default());
        // Phases that faults make begin where a fault does; others were written.
        let starts = |p: &PhasePlan| self.faults.iter().any(|f| f.start == p.start);
        let from_faults = !self.faults.is_empty()
            && self.phases.iter().all(|p| p.kind != crate::summary::PhaseKind::Fault || starts(p))
            && self.phases.iter().all(|p| p.kind != crate::summary::PhaseKind::Other);
        let cutter = Arc::new(Cutter::new(Arc::clone(&marks), &self.phases, from_faults));
        let threads = self.faults.into_iter().enumerate().map(|(number, plan)| {
            let (over, broken) = (Arc::clone(&over), broken.clone());
            let watched = Watched { cutter: Arc::clone(&cutter), active: active.clone(), number };
            let socket = self.socket.clone();
            thread::spawn(move || {
                let record = drive(&socket, &plan, epoch, &over, &watched);
                if record.start_s.is_none() && record.error.is_some() {
                    broken.0.store(true, Ordering::Release);
                }
                record
            })
        });
        let threads = threads.collect();
        let phases = (!from_faults && self.phases.len() > 1).then(|| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                for phase in self.phases.iter().skip(1) {
                    let start = nanos(phase.start);
                    if over.sleeps_until(epoch, start) {
                        return;
                    }
                    marks.cut(start, phase.name.clone(), phase.kind);
                }
            })
        });
        Running { threads, phases, over, broken, active }
    }
}

impl Running {
    /// Says whether a fault could not be injected.
    #[must_use]
    pub fn broken(&self) -> Broken {
        self.broken.clone()
    }

    /// The faults that are in force.
    #[must_use]
    pub fn active(&self) -> Active {
        self.active.clone()
    }

    /// Takes back what is still in force, and returns what became of each.
    #[must_use]
    pub fn finish(self) -> Vec<FaultRecord> {
        self.over.set();
        if let Some(phases) = self.phases {
            // It only sleeps and cuts.
            let _ended = phases.join();
        }
        let lost =
            |_| FaultRecord { error: Some("its thread died".into()), ..FaultRecord::default() };
        self.threads.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
    }
}

fn drive(
    socket: &Path,
    plan: &FaultPlan,
    epoch: Epoch,
    over: &Over,
    watched: &Watched,
) -> FaultRecord {
    let length = plan.request.duration.get();
    let mut record = FaultRecord {
        kind: plan.request.kind().name().to_owned(),
        text: plan.text.clone(),
        label: plan.request.label.clone(),
        planned_start_s: plan.start.as_secs_f64(),
        planned_end_s: (plan.start + length).as_secs_f64(),
        ..FaultRecord::default()
    };
    if over.sleeps_until(epoch, nanos(plan.start)) {
        return record;
    }
    if let Err(error) = injected(socket, plan, epoch, over, watched, &mut record) {
        record.error = Some(error.to_string());
    }
    record
}

fn injected(
    socket: &Path,
    plan: &FaultPlan,
    epoch: Epoch,
    over: &Over,
    watched: &Watched,
    record: &mut FaultRecord,
) -> Result<(), ClientError> {
    let client = Client::new(socket)?;
    let mut fault = client.create(&plan.request)?;
    let begun = fault.active_mono_ns.map_or_else(|| epoch.now(), |at| epoch.of_monotonic(at));
    note(record, &fault, epoch);
    record.start_s = Some(seconds(begun));
    watched.begun(begun, record);
    let done = follow(&client, plan, epoch, over, begun, &mut fault);
    note(record, &fault, epoch);
    // Also where the daemon no longer answers: the lease has ended it.
    let ended = fault.ended_mono_ns.map_or_else(|| epoch.now(), |at| epoch.of_monotonic(at));
    record.end_s = Some(seconds(ended));
    watched.ended(ended);
    done
}

/// Renews the lease until the fault is over, or takes it back when the run is.
fn follow(
    client: &Client,
    plan: &FaultPlan,
    epoch: Epoch,
    over: &Over,
    begun: u64,
    fault: &mut Fault,
) -> Result<(), ClientError> {
    let end = begun + nanos(plan.request.duration.get());
    let renew = plan.request.lease.map_or(u64::MAX, |lease| nanos(lease.get()) / 3);
    while fault.state != State::Ended && epoch.now() < end {
        if over.sleeps_until(epoch, end.min(epoch.now().saturating_add(renew))) {
            *fault = client.revert(&fault.id)?;
            return Ok(());
        }
        if epoch.now() < end {
            *fault = match client.confirm(&fault.id) {
                Ok(fault) => fault,
                // It may have ended by itself (a kill is done at once): ask.
                Err(_) => client.show(&fault.id)?,
            };
        }
    }
    let patience = epoch.now() + nanos(GRACE);
    while fault.state != State::Ended && epoch.now() < patience {
        over.sleeps_until(epoch, epoch.now() + nanos(POLL));
        *fault = client.show(&fault.id)?;
        if fault.state != State::Ended {
            thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

fn note(record: &mut FaultRecord, fault: &Fault, epoch: Epoch) {
    record.id.clone_from(&fault.id);
    record.backend = Some(fault.backend.clone());
    record.end_s = fault.ended_mono_ns.map(|at| seconds(epoch.of_monotonic(at)));
    record.end_reason = fault.end_reason.and_then(|reason| {
        let word = serde_json::to_value(reason).ok()?;
        word.as_str().map(str::to_owned)
    });
    record.error.clone_from(&fault.error);
    record.counters.clone_from(&fault.counters.more);
    record.counters.insert("matched".into(), fault.counters.matched);
    record.counters.insert("affected".into(), fault.counters.affected);
    record.achieved.clone_from(&fault.achieved);
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
