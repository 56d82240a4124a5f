//! What a fault hands to the engine: a plan, which is data until it is executed.
//!
//! A fault *plans* and the engine *executes*. Planning touches nothing; each
//! step says how it is taken back, and steps are taken back in reverse order.

use std::{fmt, sync::Arc};

use faultd_api::{Achieved, Counters, Hits, PlanStep, ProcessOutcome};

use crate::{engine::journal::Journal, host::undo::Undo};

/// Why a request cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The request names something that is wrong or does not exist here.
    #[error(transparent)]
    Invalid(#[from] faultd_api::Invalid),
    /// No backend on this host can serve it; says what is missing.
    #[error("{0}")]
    Unsupported(String),
    /// A safety rail stands in the way; says which and what `--force` would do.
    #[error("{0}")]
    Unsafe(String),
    /// Looking at the host failed.
    #[error("{0}")]
    Host(String),
}

/// Why a step failed: what was done, to what, and the system's answer.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct StepError {
    /// What was tried, in words.
    pub what: String,
    /// The cause.
    #[source]
    pub source: anyhow::Error,
}

impl StepError {
    /// A failed step.
    pub fn new(what: impl Into<String>, source: impl Into<anyhow::Error>) -> Self {
        Self { what: what.into(), source: source.into() }
    }
}

/// What a step needs to know about the fault that it belongs to.
pub struct ApplyCx<'a> {
    /// The fault's id.
    pub fault: &'a str,
    /// CLOCK_BOOTTIME at which the fault ends at the latest, in nanoseconds.
    pub expires_boot_ns: u64,
    /// Seed of its random decisions.
    pub seed: u64,
    /// For steps that share undo-logged effects with other faults.
    pub journal: &'a Journal,
    /// For faults that may be done before their time is up.
    pub finisher: Finisher,
}

/// Lets a fault end before its time, because it did all that it was asked to.
#[derive(Clone)]
pub struct Finisher(Arc<dyn Fn() + Send + Sync>);

impl Finisher {
    /// From what has the engine end the fault.
    pub fn new(finish: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(finish))
    }

    /// Has the fault taken back soon, as completed. May be called from any
    /// thread, while the fault is being applied as well, and more than once.
    pub fn finish(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Finisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Finisher")
    }
}

/// One step of a plan.
pub trait Step: Send + Sync {
    /// What it does and how it is taken back, in words.
    fn describe(&self) -> PlanStep;

    /// What the journal must hold before [`Step::apply`] runs; empty for
    /// effects that the kernel takes back when the daemon goes.
    fn undo(&self) -> Vec<Undo> {
        Vec::new()
    }

    /// Does it, wholly or not at all.
    ///
    /// # Errors
    /// When it could not be done; nothing of it remains then.
    fn apply(self: Box<Self>, cx: &ApplyCx<'_>) -> Result<Box<dyn Applied>, StepError>;
}

/// A step that is in force.
pub trait Applied: Send {
    /// Takes it out of force, if that is quicker than to take everything back:
    /// true when nothing is affected any more. Called once, before
    /// [`Applied::revert`] of any step of the fault, which has ended when all
    /// of its steps say so, and else when all are taken back.
    ///
    /// # Errors
    /// When it may still be in force.
    fn lift(&mut self) -> Result<bool, StepError> {
        Ok(false)
    }

    /// Takes it back. Called once; journalled undos run right after it.
    ///
    /// # Errors
    /// When something could not be taken back; all of the rest was.
    fn revert(&mut self) -> Result<(), StepError>;

    /// What it met and did so far.
    fn observe(&mut self) -> Observation {
        Observation::default()
    }
}

/// What a fault met and did.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Counts.
    pub counters: Counters,
    /// In the units of the parameters.
    pub achieved: Achieved,
    /// What became of single processes.
    pub processes: Vec<ProcessOutcome>,
}

impl Observation {
    /// Adds another step's observation; counts add up, figures are replaced.
    pub fn merge(&mut self, other: Self) {
        self.counters.matched += other.counters.matched;
        self.counters.affected += other.counters.affected;
        for (name, count) in other.counters.more {
            *self.counters.more.entry(name).or_default() += count;
        }
        self.achieved.extend(other.achieved);
        self.processes.extend(other.processes);
    }
}

/// Puts names to the sockets of a plan. It takes a look at every process, for
/// which no injection waits: it is done while the fault is applied.
pub struct Naming(Box<dyn FnOnce(&mut Hits) + Send>);

impl Naming {
    /// By a function that may block.
    pub fn new(name: impl FnOnce(&mut Hits) + Send + 'static) -> Self {
        Self(Box::new(name))
    }

    /// The same hits with names.
    pub fn name(self, mut hits: Hits) -> Hits {
        (self.0)(&mut hits);
        hits
    }
}

/// A safety rail that applies to a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rail {
    /// What it keeps from being hit, in words.
    pub words: String,
    /// Whether it has to do with this very request. A plan shows all rails, the
    /// report of an injected fault only these.
    pub telling: bool,
}

impl Rail {
    /// One that applies to every fault of the kind.
    pub fn standing(words: impl Into<String>) -> Self {
        Self { words: words.into(), telling: false }
    }

    /// One that has to do with this very request.
    pub fn telling(words: impl Into<String>) -> Self {
        Self { words: words.into(), telling: true }
    }
}

/// A plan: everything needed to apply a fault, and to show it beforehand.
pub struct Plan {
    /// The backend chosen.
    pub backend: String,
    /// Why this one.
    pub backend_reason: String,
    /// What is done, in order.
    pub steps: Vec<Box<dyn Step>>,
    /// What is alive now and would be hit.
    pub hits: Hits,
    /// Who holds the sockets of it, where somebody does.
    pub naming: Option<Naming>,
    /// Safety rails that apply.
    pub rails: Vec<Rail>,
    /// What to know about the result, in words.
    pub notes: Vec<String>,
}
