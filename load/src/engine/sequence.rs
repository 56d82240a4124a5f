//! Set-up and tear-down: flows that run once, before and after the load, unmeasured.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::{Builder, LocalOptions},
    signal::unix::{SignalKind, signal},
    task::spawn_local,
};

use super::{
    clock::{Clock, Epoch},
    prepare::{Prepared, PreparedStep},
    result::sent_to,
    user::{Ended, User},
    worker::Worker,
};
use crate::{
    measure::{Phases, Recorder},
    plan::Flow,
    schedule::{Rates, Users},
    summary::PhaseKind,
    template::{Shared, Vars},
};

/// A worker whose records nobody reads, with its clock running.
///
/// # Errors
/// The kernel has no descriptor for its timers.
pub(super) fn unmeasured(prepared: &Arc<Prepared>, shared: &Shared) -> io::Result<Rc<Worker>> {
    unmeasured_on(Epoch::after(Duration::ZERO), prepared, shared)
}

/// The same on the clock of a run.
///
/// # Errors
/// The kernel has no descriptor for its timers.
pub(super) fn unmeasured_on(
    epoch: Epoch,
    prepared: &Arc<Prepared>,
    shared: &Shared,
) -> io::Result<Rc<Worker>> {
    let phases = Arc::new(Phases::new("set-up", PhaseKind::Other));
    let worker = Rc::new(Worker {
        index: 0,
        workers: 1,
        prepared: Arc::clone(prepared),
        rates: Arc::new(Rates::default()),
        users: Arc::new(Users::default()),
        shared: shared.clone(),
        clock: Clock::new(epoch)?,
        recorder: RefCell::new(Recorder::new(prepared.shape.clone(), phases)),
        outlets: RefCell::default(),
        end: Cell::new(u64::MAX),
        in_flight: Cell::new(0),
        at_work: Cell::new(0),
        connections: Rc::default(),
        multiplexed: Default::default(),
    });
    let running = Rc::clone(&worker);
    spawn_local(async move { running.clock.run().await });
    Ok(worker)
}

/// Runs `flows` one after the other with the variables in `shared`. Returns the variables that
/// they leave, and what failed, if anything did; a failure ends the sequence, and so does SIGINT or
/// SIGTERM.
///
/// # Errors
/// The event loop could not be set up.
pub fn run(
    prepared: &Arc<Prepared>,
    flows: &[Flow],
    steps: &[Vec<PreparedStep>],
    shared: Shared,
) -> io::Result<(Shared, Option<String>)> {
    if flows.is_empty() {
        return Ok((shared, None));
    }
    let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let worker = unmeasured(prepared, &shared)?;
        let vars = Vars::with_shared(0, prepared.plan.seed, shared);
        let mut user = User::new(worker, vars, false);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let failed = tokio::select! {
            failed = all(&mut user, flows, steps) => failed,
            _ = interrupt.recv() => Some(SIGNAL.to_owned()),
            _ = terminate.recv() => Some(SIGNAL.to_owned()),
        };
        Ok((user.vars.share(), failed))
    })
}

const SIGNAL: &str = "a signal ended it";

/// Returns what failed.
async fn all(user: &mut User, flows: &[Flow], steps: &[Vec<PreparedStep>]) -> Option<String> {
    for (flow, steps) in flows.iter().zip(steps) {
        // What one extracts is there for the next one, and for the load.
        let flow = Flow { keep_variables: true, ..flow.clone() };
        let now = user.worker.clock.now();
        if user.steps(&flow, steps, now).await != Ended::Completed {
            return Some(what_failed(user, steps));
        }
    }
    None
}

/// The step that failed, what it sent where, and why.
fn what_failed(user: &mut User, steps: &[PreparedStep]) -> String {
    let why = user.last_failure.take();
    let why = why.map_or_else(String::new, |failure| format!(": {failure}"));
    match steps.iter().find(|step| step.id == user.last_step) {
        None => format!("it was interrupted{why}"),
        Some(PreparedStep { step, .. }) => {
            let what = sent_to(&step.request, &mut user.vars);
            format!("step `{}` ({what}){why}", step.name)
        }
    }
}
