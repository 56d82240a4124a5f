//! The faults of a run: which calls each is about.

use std::collections::BTreeSet;

use faultd_api::{Call, SyscallParams};

use super::{
    decide::{Counts, Decision, Effect},
    error::RunError,
    files::{self, FileArg},
    listener::Notification,
    path::Prefix,
    spec::FaultSpec,
};

/// All faults of a run, in the order in which they were typed.
#[derive(Debug)]
pub struct Faults(Vec<Fault>);

/// One of them.
#[derive(Debug)]
struct Fault {
    /// Numbers, with the arguments that name files.
    calls: Vec<(u32, &'static [FileArg])>,
    path: Option<Prefix>,
    decision: Decision,
}

impl Faults {
    /// From what was typed. Fault number `n` draws from `seed + n`, so that
    /// faults draw independently.
    ///
    /// # Errors
    /// When a call does not exist here, or has nothing to do with files and
    /// there is a `--path`.
    pub fn new(specs: &[FaultSpec], seed: u64) -> Result<Self, RunError> {
        let seeds = (0..).map(|n| seed.wrapping_add(n));
        specs
            .iter()
            .zip(seeds)
            .map(|(spec, seed)| Fault::new(&spec.params, seed))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The numbers of all calls that some fault is about.
    pub fn numbers(&self) -> Vec<u32> {
        let all: BTreeSet<_> = self.0.iter().flat_map(|f| f.calls.iter().map(|c| c.0)).collect();
        all.into_iter().collect()
    }

    /// What becomes of a call. `is_waiting` tells whether it still waits, so
    /// that what was read of its process was its.
    pub fn meet(&mut self, call: &Notification, is_waiting: impl Fn() -> bool) -> Effect {
        let mut effect = Effect::default();
        for fault in &mut self.0 {
            effect = effect.and(fault.meet(call, &is_waiting));
        }
        effect
    }

    /// What each did, in order.
    pub fn counts(&self) -> impl Iterator<Item = Counts> {
        self.0.iter().map(|fault| fault.decision.counts())
    }
}

impl Fault {
    fn new(params: &SyscallParams, seed: u64) -> Result<Self, RunError> {
        let number = |call: &Call| {
            let number = call.number().ok_or(RunError::NoSuchCall(*call))?;
            let args = files::of(call.name());
            if params.path.is_some() && args.is_empty() {
                return Err(RunError::NoPath(*call));
            }
            Ok((number, args))
        };
        Ok(Self {
            calls: params.call.iter().map(number).collect::<Result<_, _>>()?,
            path: params.path.as_deref().map(Prefix::new),
            decision: Decision::new(params, seed),
        })
    }

    fn meet(&mut self, call: &Notification, is_waiting: impl Fn() -> bool) -> Effect {
        let number = u32::try_from(call.data.nr).ok();
        let Some((_, args)) = self.calls.iter().find(|(nr, _)| Some(*nr) == number) else {
            return Effect::default();
        };
        if let Some(prefix) = &self.path {
            let covered = prefix.covers(call, args);
            if !is_waiting() {
                return Effect::default(); // Its process is gone; what was read may be another's.
            }
            match covered {
                Ok(true) => {}
                Ok(false) => return Effect::default(),
                Err(_) => {
                    self.decision.unreadable();
                    return Effect::default();
                }
            }
        }
        self.decision.meet()
    }
}
