//! `run`: a command some of whose system calls fail or take longer.
//!
//! Needs no daemon, no BPF and no root: the command gets a seccomp filter that
//! lets the calls named ask this process (the *supervisor*) what becomes of
//! them; its children inherit it, all other calls pass in the kernel.
//!
//! Invariants:
//! - The command outlives the supervisor unharmed. Whoever holds the listener
//!   last lets every call go on: the supervisor, or its guard ([`guard`]).
//! - A call that was received is answered ([`shared`]).
//! - This program has one thread; both forks rely on it.

mod child;
mod decide;
mod error;
mod fault;
mod files;
mod filter;
mod guard;
mod listener;
mod path;
mod serve;
mod shared;
mod spec;
mod summary;

use std::{
    ffi::OsString,
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, Instant},
};

pub use error::RunError;
pub use serve::Ended;
pub use spec::FaultSpec;
pub use summary::Summary;

use child::Child;
use fault::Faults;
use filter::Pass;
use guard::Guard;
use serve::{Signals, Supervisor};
use shared::Shared;

/// What to run, and under what.
#[derive(Debug)]
pub struct Plan {
    /// The command and its arguments; not empty.
    pub command: Vec<OsString>,
    /// The faults.
    pub specs: Vec<FaultSpec>,
    /// How long they last; else as long as the command.
    pub duration: Option<Duration>,
    /// Seed of their random decisions; else drawn.
    pub seed: Option<u64>,
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, or faults cannot be injected here.
pub fn run(plan: Plan) -> Result<(Ended, Summary), RunError> {
    let seed = plan.seed.unwrap_or_else(random);
    let mut faults = Faults::new(&plan.specs, seed)?;
    let shared = Shared::new().map_err(|e| RunError::start("mmap", e))?;
    let signals = Signals::install()?;
    let (child, listener) =
        Child::start(&plan.command, &faults.numbers(), Pass(random()), signals.before())?;
    listener.wake_up_synchronously();
    let guard = Guard::start(&listener, shared).map_err(|e| RunError::start("fork", e))?;
    let child = match child.go(&plan.command[0]) {
        Ok(child) => child,
        Err(e) => {
            guard.dismiss(&listener);
            return Err(e);
        }
    };
    let until = plan.duration.map(|duration| Instant::now() + duration);
    let supervisor =
        Supervisor { listener: &listener, shared, guard, faults: &mut faults, child, until };
    let ended = supervisor.run(&signals)?;
    let summary = Summary::new(&plan.command, ended, seed, plan.specs, faults.counts());
    Ok((ended, summary))
}

/// A random number; the standard library seeds its hashers with some.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
