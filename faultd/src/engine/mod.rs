//! The engine: the fault table, its state machine, deadlines, leases, journal.
//!
//! A fault's life: *planned* (targets resolved, backend chosen) → *applying*
//! (undo written, then applied) → *active* → *reverting* → *ended*, kept in a
//! bounded history.
//!
//! Invariants:
//! - The engine knows no fault by name; it has a list of [`FaultKind`]s.
//! - One thread, the executor, changes the system. Planning changes nothing
//!   and runs beside it, so that a slow look-up delays no deadline.
//! - Reading (list, show, metrics, events) never waits for the executor.
//! - Nothing is armed while no fault is active: no timer, no poll.

mod apply;
pub mod audit;
pub mod clock;
mod error;
mod executor;
pub mod guardian;
mod id;
pub mod journal;
pub mod plan;
mod queue;
pub mod recover;
mod reserve;
pub mod state_dir;
mod table;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use faultd_api::{
    BackendStatus, Capabilities, Event, Explain, ExplainRule, Fault, FaultRequest, KindCapability,
    Leftover, State, Target,
};
use jiff::Timestamp;
use tokio::sync::{Semaphore, broadcast, oneshot};

pub use error::EngineError;
pub use table::Totals;

use crate::{
    fault::{Caller, FaultKind, PlanCx, Protected},
    host::memory,
};
use audit::{Actor, Audit};
use executor::Job;
use journal::Journal;
use plan::{Plan, PlanError};
use queue::Queue;
use table::Table;

/// Plans that are computed at the same time; a plan may wait for a name
/// server, and each takes a thread.
const PLANNERS: usize = 16;

/// What the engine is made of.
pub struct Parts {
    /// The catalogue.
    pub kinds: Vec<Box<dyn FaultKind>>,
    /// Host facts that backends build on.
    pub features: Box<dyn Fn() -> Vec<BackendStatus> + Send + Sync>,
    /// What dead daemons left.
    pub left_behind: Box<dyn Fn() -> Vec<Leftover> + Send + Sync>,
    /// Where undos are written.
    pub journal: Journal,
    /// Where changes are written down.
    pub audit: Audit,
    /// What nobody may touch.
    pub protected: Protected,
}

/// The engine. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    kinds: Vec<Box<dyn FaultKind>>,
    features: Box<dyn Fn() -> Vec<BackendStatus> + Send + Sync>,
    left_behind: Box<dyn Fn() -> Vec<Leftover> + Send + Sync>,
    journal: Journal,
    audit: Audit,
    protected: Protected,
    table: Mutex<Table>,
    queue: Queue<Job>,
    planners: Semaphore,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The moment a request was accepted; deadlines count from it.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// For people.
    pub at: Timestamp,
    /// For deadlines: CLOCK_BOOTTIME, nanoseconds.
    pub boot_ns: u64,
}

impl Accepted {
    /// Now.
    pub fn now() -> Self {
        Self { at: clock::wall(), boot_ns: clock::boot_ns() }
    }
}

/// How many faults may be active at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of everybody together.
    pub max_active: usize,
    /// Of the caller.
    pub max_active_of_owner: usize,
}

/// A request that the policy has let through.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is wanted.
    pub request: FaultRequest,
    /// Who wants it, for safety rails.
    pub caller: Caller,
    /// Who wants it, for the audit trail.
    pub actor: Actor,
    /// Since when.
    pub accepted: Accepted,
    /// What the policy allows.
    pub limits: Limits,
}

impl Engine {
    /// Starts the executor.
    ///
    /// # Errors
    /// When its thread or descriptors cannot be had.
    pub fn start(parts: Parts) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            kinds: parts.kinds,
            features: parts.features,
            left_behind: parts.left_behind,
            journal: parts.journal,
            audit: parts.audit,
            protected: parts.protected,
            table: Mutex::new(Table::new()),
            queue: Queue::new()?,
            planners: Semaphore::new(PLANNERS),
        });
        executor::start(Arc::clone(&shared))?;
        Ok(Self(shared))
    }

    /// Plans and applies a fault; returns it once it is active, with what it
    /// met at once.
    ///
    /// # Errors
    /// When it cannot be planned (nothing was changed) or applied (what was
    /// done has been taken back, and the history has it as failed).
    pub async fn inject(&self, ask: Ask) -> Result<Fault, EngineError> {
        let ask = Arc::new(ask);
        let mut plan = self.plan(Arc::clone(&ask), false).await?;
        let naming = plan.naming.take().map(|naming| {
            let hits = plan.hits.clone();
            tokio::task::spawn_blocking(move || naming.name(hits))
        });
        let (reply, answer) = oneshot::channel();
        self.push(Job::Apply { ask, plan, reply })?;
        let fault = answer.await.map_err(|_| EngineError::Stopping)??;
        let live = self.0.table().find(&fault.id).and_then(|(_, entry)| entry.live.clone());
        let fault = observed(fault, live.as_deref());
        let Some(naming) = naming else { return Ok(fault) };
        // In force by now; a search that failed leaves the sockets without names.
        let Ok(hits) = naming.await else { return Ok(fault) };
        self.0.table().name_hits(&fault.id, &hits);
        Ok(Fault { hits: Some(hits), ..fault })
    }

    /// Plans a fault, and nothing more.
    ///
    /// # Errors
    /// When it cannot be planned.
    pub async fn dry_run(&self, ask: Ask) -> Result<faultd_api::Plan, EngineError> {
        let ask = Arc::new(ask);
        let mut plan = self.plan(Arc::clone(&ask), true).await?;
        if let Some(naming) = plan.naming.take() {
            let hits = plan.hits.clone();
            let named = tokio::task::spawn_blocking(move || naming.name(hits)).await;
            plan.hits = named.unwrap_or(plan.hits);
        }
        Ok(faultd_api::Plan {
            kind: ask.request.kind(),
            target: ask.request.target.clone(),
            backend: plan.backend,
            backend_reason: plan.backend_reason,
            steps: plan.steps.iter().map(|step| step.describe()).collect(),
            hits: plan.hits,
            rails: plan.rails.into_iter().map(|rail| rail.words).collect(),
            notes: plan.notes,
        })
    }

    async fn plan(&self, ask: Arc<Ask>, list_hits: bool) -> Result<Plan, EngineError> {
        let shared = Arc::clone(&self.0);
        let _turn = self.0.planners.acquire().await.map_err(|_| EngineError::Stopping)?;
        let planned = tokio::task::spawn_blocking(move || {
            let kind = ask.request.kind();
            let Some(fault) = shared.kinds.iter().find(|k| k.kind() == kind) else {
                return Err(PlanError::Unsupported(format!("this build has no {kind} fault")));
            };
            let cx = PlanCx { caller: &ask.caller, protected: &shared.protected, list_hits };
            catch_unwind(AssertUnwindSafe(|| fault.plan(&ask.request, &cx))).unwrap_or_else(
                |panic| Err(PlanError::Host(format!("internal error: {}", apply::words(&*panic)))),
            )
        });
        Ok(planned.await.map_err(|_| EngineError::Stopping)??)
    }

    /// One fault, with what it met so far.
    pub fn get(&self, id: &str) -> Option<Fault> {
        let (fault, live) = {
            let table = self.0.table();
            let (_, entry) = table.find(id)?;
            (entry.fault.clone(), entry.live.clone())
        };
        Some(observed(fault, live.as_deref()))
    }

    /// The faults that have not ended, oldest first; with `all`, the history
    /// as well.
    pub fn list(&self, all: bool) -> Vec<Fault> {
        let found: Vec<_> = {
            let table = self.0.table();
            let wanted = table.iter().filter(|(_, e)| all || e.fault.state != State::Ended);
            wanted.map(|(_, e)| (e.fault.clone(), e.live.clone())).collect()
        };
        found.into_iter().map(|(fault, live)| observed(fault, live.as_deref())).collect()
    }

    /// How many faults are in force.
    pub fn active(&self) -> usize {
        self.0.table().current().count()
    }

    /// Takes faults back; returns those that this call ended. Ids that are
    /// unknown or have ended are passed over.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn revert(&self, ids: Vec<String>, actor: Actor) -> Result<Vec<Fault>, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.push(Job::Revert { ids, actor, reply })?;
        answer.await.map_err(|_| EngineError::Stopping)
    }

    /// Renews a fault's lease.
    ///
    /// # Errors
    /// When there is no such fault, it has no lease, or it is over.
    pub fn confirm(&self, id: &str, actor: &Actor) -> Result<Fault, EngineError> {
        let confirmed = {
            let mut table = self.0.table();
            let Some((seq, entry)) = table.find(id) else {
                return Err(EngineError::NoSuchFault(id.to_owned()));
            };
            if entry.fault.lease.is_none() {
                return Err(EngineError::NoLease(id.to_owned()));
            }
            table.confirm(seq)
        };
        let Some(fault) = confirmed else {
            return Err(EngineError::Over(id.to_owned()));
        };
        let change = audit::Change {
            action: "confirm",
            id: Some(id),
            kind: Some(fault.kind.name()),
            target: Some(&fault.target.to_string()),
            result: "ok",
        };
        self.0.audit.write(actor, &change);
        Ok(fault)
    }

    /// Which active faults a flow or process meets.
    pub fn explain(&self, query: &Target) -> Explain {
        let table = self.0.table();
        let mut rules = Vec::new();
        for (_, entry) in table.current().filter(|(_, e)| e.fault.state == State::Active) {
            let fault = &entry.fault;
            let kind = self.0.kinds.iter().find(|k| k.kind() == fault.kind);
            let Some(meets) = kind.and_then(|k| k.meets(&entry.params, &fault.target, query))
            else {
                continue;
            };
            rules.push(ExplainRule {
                id: fault.id.clone(),
                kind: fault.kind,
                effect: meets.effect,
                covers: meets.covers,
            });
        }
        let effect = match rules.as_slice() {
            [] => "no active fault meets it".to_owned(),
            rules => rules.iter().map(effect_in_part).collect::<Vec<_>>().join("; "),
        };
        Explain { target: query.clone(), rules, effect }
    }

    /// What works on this host, probed anew; takes a blocking look at it.
    pub fn capabilities(&self) -> Capabilities {
        let kernel = nix::sys::utsname::uname()
            .map(|u| u.release().to_string_lossy().into_owned())
            .unwrap_or_default();
        let kinds = self.0.kinds.iter();
        let capabilities = Capabilities {
            kernel,
            kinds: kinds
                .map(|k| KindCapability { kind: k.kind(), backends: k.backends() })
                .collect(),
            features: (self.0.features)(),
            left_behind: (self.0.left_behind)(),
        };
        memory::give_back();
        capabilities
    }

    /// What happened lately, and a receiver of what comes next, without a gap.
    pub fn subscribe(&self) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        self.0.table().subscribe()
    }

    /// Counts since the daemon started.
    pub fn totals(&self) -> Totals {
        self.0.table().totals()
    }

    /// The undo journal.
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// Where changes and refused attempts are written down.
    pub fn audit(&self) -> &Audit {
        &self.0.audit
    }

    /// Takes every fault back and ends the executor; returns what was ended.
    pub async fn shutdown(&self) -> Vec<Fault> {
        let (reply, answer) = oneshot::channel();
        if self.push(Job::Shutdown { reply }).is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }

    fn push(&self, job: Job) -> Result<(), EngineError> {
        self.0.queue.push(job).map_err(|_| EngineError::Stopping)
    }
}

/// `holds packets for 20 ms, only packets that leave`.
fn effect_in_part(rule: &ExplainRule) -> String {
    match rule.covers.as_str() {
        "all" => rule.effect.clone(),
        part => format!("{}, {part}", rule.effect),
    }
}

fn observed(mut fault: Fault, live: Option<&apply::Live>) -> Fault {
    if let Some(live) = live {
        let seen = live.observe();
        fault.counters = seen.counters;
        fault.achieved = seen.achieved;
        fault.processes = seen.processes;
    }
    fault
}
