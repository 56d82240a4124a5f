//! Steps in force: applied all or not at all, taken back in reverse.
//!
//! Invariants:
//! - Only the executor changes the system: every function that does asks for
//!   its [`Exclusive`] token, of which there is one.
//! - The undo of a step is in the journal before the step is applied.
//! - Taking back never stops at an error; all of them are reported.
//! - A panic in a fault's code is an error of that fault, not the end of all.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError, TryLockError},
};

use super::{
    clock::Moment,
    journal::Ticket,
    plan::{Applied, ApplyCx, Observation, Step, StepError},
};

/// The right to change the system; the executor has the only one.
pub(super) struct Exclusive(());

impl Exclusive {
    /// Called once, where the executor starts.
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// One step in force.
struct InForce {
    what: String,
    applied: Box<dyn Applied>,
    tickets: Vec<Ticket>,
}

/// The steps of one fault that are in force, and what they met so far.
#[derive(Default)]
pub(super) struct Live {
    steps: Mutex<Vec<InForce>>,
    last: Mutex<Observation>,
}

impl Live {
    /// What the fault met and did so far. While its steps are being taken
    /// back (or another reader looks), what was seen last: readers never wait
    /// for the executor.
    pub(super) fn observe(&self) -> Observation {
        let mut steps = match self.steps.try_lock() {
            Ok(steps) => steps,
            Err(TryLockError::Poisoned(e)) => e.into_inner(),
            Err(TryLockError::WouldBlock) => return lock(&self.last).clone(),
        };
        self.observe_locked(&mut steps)
    }

    fn observe_locked(&self, steps: &mut [InForce]) -> Observation {
        if steps.is_empty() {
            return lock(&self.last).clone();
        }
        let mut sum = Observation::default();
        for step in steps {
            match catch_unwind(AssertUnwindSafe(|| step.applied.observe())) {
                Ok(seen) => sum.merge(seen),
                Err(panic) => tracing::error!("{}: observe: {}", step.what, words(&*panic)),
            }
        }
        lock(&self.last).clone_from(&sum);
        sum
    }

    /// Takes a last look, then everything back, the newest step first.
    pub(super) fn revert(&self, token: &mut Exclusive) -> Reverted {
        let mut steps = lock(&self.steps);
        let seen = self.observe_locked(&mut steps);
        let (lifted, mut errors) = lift_steps(token, &mut steps);
        errors.extend(revert_steps(token, &mut steps));
        Reverted { seen, ended: lifted.unwrap_or_else(Moment::now), errors }
    }
}

/// A fault that was taken back.
pub(super) struct Reverted {
    /// The last look at it.
    pub(super) seen: Observation,
    /// When it was no longer in force.
    pub(super) ended: Moment,
    /// What could not be taken back.
    pub(super) errors: Vec<String>,
}

/// Applies all steps in order, or none of them.
///
/// # Errors
/// What failed, and what then could not be taken back, if anything.
pub(super) fn apply(
    token: &mut Exclusive,
    steps: Vec<Box<dyn Step>>,
    cx: &ApplyCx<'_>,
) -> Result<Live, String> {
    let mut in_force = Vec::with_capacity(steps.len());
    for step in steps {
        match apply_step(step, cx) {
            Ok(step) => in_force.push(step),
            Err(mut errors) => {
                errors.extend(revert_steps(token, &mut in_force));
                return Err(errors.join("; "));
            }
        }
    }
    Ok(Live { steps: Mutex::new(in_force), last: Mutex::default() })
}

fn apply_step(step: Box<dyn Step>, cx: &ApplyCx<'_>) -> Result<InForce, Vec<String>> {
    let described = guarded("describe a step", || Ok((step.describe().apply, step.undo())));
    let (what, undos) = described.map_err(|e| vec![chain(&e)])?;
    let mut tickets = Vec::new();
    for undo in undos {
        match cx.journal.record(cx.fault, cx.expires_boot_ns, undo) {
            Ok(ticket) => tickets.push(ticket),
            Err(e) => {
                let mut errors = vec![format!("{what}: {e}")];
                undo_all(tickets, &mut errors);
                return Err(errors);
            }
        }
    }
    match guarded(&what, || step.apply(cx)) {
        Ok(applied) => Ok(InForce { what, applied, tickets }),
        Err(e) => {
            let mut errors = vec![chain(&e)];
            undo_all(tickets, &mut errors);
            Err(errors)
        }
    }
}

/// When the last of the steps was out of force, if that can be told before
/// they are taken back.
fn lift_steps(_: &mut Exclusive, steps: &mut [InForce]) -> (Option<Moment>, Vec<String>) {
    let (mut all, mut errors) = (true, Vec::new());
    for step in steps.iter_mut().rev() {
        match guarded(&step.what, || step.applied.lift()) {
            Ok(lifted) => all &= lifted,
            Err(e) => {
                all = false;
                errors.push(chain(&e));
            }
        }
    }
    (all.then(Moment::now), errors)
}

fn revert_steps(_: &mut Exclusive, steps: &mut Vec<InForce>) -> Vec<String> {
    let mut errors = Vec::new();
    while let Some(mut step) = steps.pop() {
        if let Err(e) = guarded(&step.what, || step.applied.revert()) {
            errors.push(chain(&e));
        }
        undo_all(step.tickets, &mut errors);
    }
    errors
}

fn undo_all(tickets: Vec<Ticket>, errors: &mut Vec<String>) {
    for ticket in tickets.into_iter().rev() {
        if let Err(e) = ticket.undo() {
            errors.push(e.to_string());
        }
    }
}

fn guarded<T>(what: &str, run: impl FnOnce() -> Result<T, StepError>) -> Result<T, StepError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        Err(StepError::new(what, anyhow::anyhow!("internal error: {}", words(&*panic))))
    })
}

/// An error with all of its causes, on one line.
fn chain(error: &StepError) -> String {
    format!("{}: {}", error.what, crate::chain::chain(&*error.source))
}

/// What a panic said.
pub(super) fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("panic")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
