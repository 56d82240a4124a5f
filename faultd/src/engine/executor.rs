//! The executor: the one thread that changes the system.
//!
//! Deadlines are its own business, ahead of any job: they depend on neither
//! the API nor the async runtime.

use std::{
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use faultd_api::{EndReason, Fault, State};
use tokio::sync::oneshot;

use super::{
    Accepted, Ask, Shared,
    apply::{self, Exclusive, Reverted},
    audit::{Actor, Change},
    clock::{self, Moment},
    error::EngineError,
    id,
    plan::{ApplyCx, Finisher, Observation, Plan},
    queue::Alarm,
    reserve::Reserve,
    table::{Entry, Seq, nanos, reason_name},
};
use crate::host::memory;

/// What the executor is asked to do.
pub(super) enum Job {
    Apply {
        ask: Arc<Ask>,
        plan: Plan,
        reply: oneshot::Sender<Result<Fault, EngineError>>,
    },
    Revert {
        ids: Vec<String>,
        actor: Actor,
        reply: oneshot::Sender<Vec<Fault>>,
    },
    /// A fault says that it is done.
    Finish {
        id: String,
    },
    Shutdown {
        reply: oneshot::Sender<Vec<Fault>>,
    },
}

pub(super) fn start(shared: Arc<Shared>) -> io::Result<()> {
    let alarm = Alarm::new()?;
    let reserve = Reserve::new()?;
    let body = move || {
        let run = || Executor::new(&shared, reserve).run(&alarm);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => {}
            // Without an executor nothing would ever be taken back. The
            // guardian does it at once when the process is gone.
            Ok(Err(e)) => abort(&e.to_string()),
            Err(panic) => abort(apply::words(&*panic)),
        }
    };
    thread::Builder::new().name("faultd-engine".into()).spawn(body)?;
    Ok(())
}

fn abort(why: &str) {
    tracing::error!("the executor failed: {why}; the guardian takes over");
    std::process::abort();
}

struct Executor<'a> {
    shared: &'a Arc<Shared>,
    token: Exclusive,
    reserve: Reserve,
    /// Whether a fault has ended since the last rest.
    has_ended_one: bool,
}

impl<'a> Executor<'a> {
    fn new(shared: &'a Arc<Shared>, reserve: Reserve) -> Self {
        Self { shared, token: Exclusive::new(), reserve, has_ended_one: false }
    }

    fn run(mut self, alarm: &Alarm) -> io::Result<()> {
        loop {
            self.end_due();
            match self.shared.queue.pop() {
                Some(Job::Shutdown { reply }) => {
                    // No job slips in between the last revert and the end.
                    self.shared.queue.close();
                    let ended = self.end_all(EndReason::DaemonExit, &Actor::daemon());
                    let _ = reply.send(ended);
                    return Ok(());
                }
                Some(job) => self.execute(job),
                None => {
                    let deadline = self.shared.table().next_deadline();
                    if deadline.is_none() && mem::take(&mut self.has_ended_one) {
                        memory::give_back();
                    }
                    alarm.sleep(&self.shared.queue, deadline)?;
                }
            }
        }
    }

    /// A client that went away does not get its answer; its job is done.
    fn execute(&mut self, job: Job) {
        match job {
            Job::Apply { ask, plan, reply } => {
                let result = self.apply(&ask, plan);
                let _ = reply.send(result);
            }
            Job::Revert { ids, actor, reply } => {
                let mut ended = Vec::with_capacity(ids.len());
                for id in ids {
                    self.end_due();
                    let seq = self.shared.table().find(&id).map(|(seq, _)| seq);
                    ended.extend(seq.and_then(|seq| self.end(seq, EndReason::Reverted, &actor)));
                }
                let _ = reply.send(ended);
            }
            Job::Finish { id } => {
                self.end_due();
                let seq = self.shared.table().find(&id).map(|(seq, _)| seq);
                if let Some(seq) = seq {
                    self.end(seq, EndReason::Completed, &Actor::daemon());
                }
            }
            Job::Shutdown { .. } => {}
        }
    }

    /// How the fault `id` says that it is done. A fault holds it while the
    /// engine holds the fault: hence the weak reference.
    fn finisher(&self, id: &str) -> Finisher {
        let (shared, id) = (Arc::downgrade(self.shared), id.to_owned());
        Finisher::new(move || {
            if let Some(shared) = shared.upgrade() {
                // Refused by an executor that has ended: so has the fault.
                let _ = shared.queue.push(Job::Finish { id: id.clone() });
            }
        })
    }

    fn apply(&mut self, ask: &Ask, plan: Plan) -> Result<Fault, EngineError> {
        let expires_boot_ns = ask.accepted.boot_ns + nanos(ask.request.duration.get());
        let (steps, seq, id, seed) = {
            let mut table = self.shared.table();
            check_limits(ask, table.current().map(|(_, e)| e.fault.owner.uid))?;
            if expires_boot_ns <= clock::boot_ns() {
                return Err(EngineError::TooLate(ask.request.duration));
            }
            let id = fresh_id(|id| table.knows(id));
            let seed = ask.request.seed.unwrap_or_else(id::seed);
            let fault = report(ask, &plan, &id, seed);
            let seq = table.add(Entry::new(fault, ask.request.params.clone(), expires_boot_ns));
            table.applying(seq);
            (plan.steps, seq, id, seed)
        };
        let finisher = self.finisher(&id);
        let journal = &self.shared.journal;
        let cx = ApplyCx { fault: &id, expires_boot_ns, seed, journal, finisher };
        match apply::apply(&mut self.token, steps, &cx) {
            Ok(live) => {
                let fault = self.shared.table().active(seq, live);
                let fault = fault.ok_or_else(|| EngineError::NoSuchFault(id.clone()))?;
                self.audit("inject", &fault, &ask.actor, "ok");
                Ok(fault)
            }
            Err(message) => {
                let seen = Observation::default();
                let outcome = (EndReason::Failed, Some(message.clone()));
                let ended = self.shared.table().ended(seq, Moment::now(), outcome, seen);
                if let Some(fault) = ended {
                    self.audit("inject", &fault, &ask.actor, &message);
                }
                Err(EngineError::Failed { id, message })
            }
        }
    }

    fn end_due(&mut self) {
        loop {
            let due = self.shared.table().due(clock::boot_ns());
            let Some((seq, reason)) = due else { return };
            self.end(seq, reason, &Actor::daemon());
        }
    }

    fn end_all(&mut self, reason: EndReason, actor: &Actor) -> Vec<Fault> {
        // Newest first: later faults may lie on top of earlier ones.
        let mut all: Vec<Seq> = self.shared.table().current().map(|(seq, _)| seq).collect();
        all.reverse();
        all.into_iter().filter_map(|seq| self.end(seq, reason, actor)).collect()
    }

    /// Takes a fault back; `None` when it is not active (any more).
    fn end(&mut self, seq: Seq, reason: EndReason, actor: &Actor) -> Option<Fault> {
        let live = self.shared.table().reverting(seq)?;
        self.has_ended_one = true;
        self.reserve.ensure();
        let Reverted { seen, ended, errors } = live.revert(&mut self.token);
        let error = (!errors.is_empty()).then(|| errors.join("; "));
        let result = error.clone().unwrap_or_else(|| "ok".into());
        let fault = self.shared.table().ended(seq, ended, (reason, error), seen)?;
        let action = if reason == EndReason::Reverted { "revert" } else { reason_name(reason) };
        self.audit(action, &fault, actor, &result);
        Some(fault)
    }

    fn audit(&self, action: &str, fault: &Fault, actor: &Actor, result: &str) {
        let change = Change {
            action,
            id: Some(&fault.id),
            kind: Some(fault.kind.name()),
            target: Some(&fault.target.to_string()),
            result,
        };
        self.shared.audit.write(actor, &change);
    }
}

fn check_limits(ask: &Ask, owners: impl Iterator<Item = u32>) -> Result<(), EngineError> {
    let (mut all, mut own) = (0, 0);
    for owner in owners {
        all += 1;
        own += usize::from(owner == ask.caller.uid);
    }
    let (most, most_own) = (ask.limits.max_active, ask.limits.max_active_of_owner);
    if all >= most {
        return Err(EngineError::Limit(format!(
            "{all} faults are active, the policy allows {most}; revert some first"
        )));
    }
    if own >= most_own {
        return Err(EngineError::Limit(format!(
            "{own} of your faults are active, the policy allows {most_own}; revert some first"
        )));
    }
    Ok(())
}

fn fresh_id(taken: impl Fn(&str) -> bool) -> String {
    loop {
        let id = id::fault_id();
        if !taken(&id) {
            return id;
        }
    }
}

fn report(ask: &Ask, plan: &Plan, id: &str, seed: u64) -> Fault {
    let Accepted { at, .. } = ask.accepted;
    let request = &ask.request;
    let telling = plan.rails.iter().filter(|rail| rail.telling);
    Fault {
        id: id.to_owned(),
        kind: request.kind(),
        params: request.to_raw().params,
        target: request.target.clone(),
        state: State::Planned,
        backend: plan.backend.clone(),
        label: request.label.clone(),
        seed,
        owner: faultd_api::Owner { uid: ask.caller.uid },
        created_at: at,
        // At most 30 days ahead (FaultRequest::validate), far from the end of time.
        expires_at: at.checked_add(request.duration.get()).unwrap_or(at),
        active_at: None,
        ended_at: None,
        end_reason: None,
        error: None,
        lease: request.lease,
        active_mono_ns: None,
        ended_mono_ns: None,
        counters: faultd_api::Counters::default(),
        achieved: faultd_api::Achieved::default(),
        processes: Vec::new(),
        hits: Some(plan.hits.clone()),
        notes: telling.map(|rail| &rail.words).chain(&plan.notes).cloned().collect(),
    }
}
