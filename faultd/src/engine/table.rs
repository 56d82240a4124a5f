//! The fault table: what is in force, what was, and who wants to know.
//!
//! Invariants:
//! - Faults are kept in the order of their acceptance.
//! - A fault has an entry in `deadlines` exactly while it is active.
//! - Every change of state goes through a method here, and is published under
//!   the same lock: the events tell the history in its order, without gaps.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use faultd_api::{EndReason, Event, EventKind, Fault, Hits, Kind, Params, State};
use tokio::sync::broadcast;

use super::{
    apply::Live,
    clock::{self, Moment},
    plan::Observation,
};

/// Faults that have ended are remembered up to this number.
const HISTORY: usize = 1000;
/// Events are remembered up to this number, for readers that come late.
const EVENTS: usize = 512;

/// Its place in the order of acceptance.
pub(super) type Seq = u64;

/// One fault and what the engine knows beside its report.
pub(super) struct Entry {
    pub fault: Fault,
    pub params: Params,
    pub expires_boot_ns: u64,
    /// When the lease runs out, unless confirmed before.
    lease_boot_ns: Option<u64>,
    pub live: Option<Arc<Live>>,
}

impl Entry {
    pub(super) fn new(fault: Fault, params: Params, expires_boot_ns: u64) -> Self {
        Self { fault, params, expires_boot_ns, lease_boot_ns: None, live: None }
    }

    fn deadline(&self) -> u64 {
        self.lease_boot_ns.unwrap_or(u64::MAX).min(self.expires_boot_ns)
    }

    fn renew_lease(&mut self) {
        self.lease_boot_ns = self.fault.lease.map(|l| clock::boot_ns() + nanos(l.get()));
    }
}

/// How many faults there were, by kind and end, since the daemon started.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Faults that came into force.
    pub injected: BTreeMap<Kind, u64>,
    /// Faults that ended, by reason.
    pub ended: BTreeMap<(Kind, &'static str), u64>,
}

pub(super) struct Table {
    entries: BTreeMap<Seq, Entry>,
    by_id: HashMap<String, Seq>,
    deadlines: BTreeSet<(u64, Seq)>,
    history: VecDeque<Seq>,
    next_seq: Seq,
    totals: Totals,
    events: VecDeque<Arc<Event>>,
    next_event: u64,
    sender: broadcast::Sender<Arc<Event>>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            by_id: HashMap::new(),
            deadlines: BTreeSet::new(),
            history: VecDeque::new(),
            next_seq: 0,
            totals: Totals::default(),
            events: VecDeque::new(),
            next_event: 1,
            sender: broadcast::channel(EVENTS).0,
        }
    }

    /// Takes a planned fault in.
    pub(super) fn add(&mut self, entry: Entry) -> Seq {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.by_id.insert(entry.fault.id.clone(), seq);
        self.entries.insert(seq, entry);
        self.publish(seq, EventKind::Planned);
        seq
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn find(&self, id: &str) -> Option<(Seq, &Entry)> {
        let seq = *self.by_id.get(id)?;
        Some((seq, self.entries.get(&seq)?))
    }

    /// Every fault, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Seq, &Entry)> {
        self.entries.iter().map(|(seq, entry)| (*seq, entry))
    }

    /// Those that have not ended, oldest first.
    pub(super) fn current(&self) -> impl Iterator<Item = (Seq, &Entry)> {
        self.iter().filter(|(_, e)| e.fault.state != State::Ended)
    }

    pub(super) fn applying(&mut self, seq: Seq) {
        if let Some(entry) = self.entries.get_mut(&seq) {
            entry.fault.state = State::Applying;
        }
    }

    pub(super) fn active(&mut self, seq: Seq, live: Live) -> Option<Fault> {
        let entry = self.entries.get_mut(&seq)?;
        entry.live = Some(Arc::new(live));
        entry.fault.state = State::Active;
        entry.fault.active_at = Some(clock::wall());
        entry.fault.active_mono_ns = Some(clock::mono_ns());
        entry.renew_lease();
        self.deadlines.insert((entry.deadline(), seq));
        *self.totals.injected.entry(entry.fault.kind).or_default() += 1;
        let fault = entry.fault.clone();
        self.publish(seq, EventKind::Active);
        Some(fault)
    }

    /// Adds the names of processes to what a fault hits.
    pub(super) fn name_hits(&mut self, id: &str, hits: &Hits) {
        let Some(seq) = self.by_id.get(id) else { return };
        if let Some(entry) = self.entries.get_mut(seq) {
            entry.fault.hits = Some(hits.clone());
        }
    }

    /// Renews a lease; `None` when the fault has none or is no longer active.
    pub(super) fn confirm(&mut self, seq: Seq) -> Option<Fault> {
        let entry = self.entries.get_mut(&seq)?;
        if entry.fault.state != State::Active || entry.fault.lease.is_none() {
            return None;
        }
        self.deadlines.remove(&(entry.deadline(), seq));
        entry.renew_lease();
        self.deadlines.insert((entry.deadline(), seq));
        let fault = entry.fault.clone();
        self.publish(seq, EventKind::Confirmed);
        Some(fault)
    }

    /// The next deadline on the boot clock.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// An active fault whose deadline has passed, and why it ends.
    pub(super) fn due(&self, now_boot_ns: u64) -> Option<(Seq, EndReason)> {
        let (at, seq) = *self.deadlines.first()?;
        if at > now_boot_ns {
            return None;
        }
        let expired = self.entries.get(&seq).is_none_or(|e| e.expires_boot_ns <= now_boot_ns);
        Some((seq, if expired { EndReason::Expired } else { EndReason::LeaseLost }))
    }

    /// Marks an active fault as being reverted and hands out its steps.
    pub(super) fn reverting(&mut self, seq: Seq) -> Option<Arc<Live>> {
        let entry = self.entries.get_mut(&seq)?;
        if entry.fault.state != State::Active {
            return None;
        }
        self.deadlines.remove(&(entry.deadline(), seq));
        entry.fault.state = State::Reverting;
        entry.live.clone()
    }

    /// Moves a fault, which was in force until `at`, into the history.
    pub(super) fn ended(
        &mut self,
        seq: Seq,
        at: Moment,
        (reason, error): (EndReason, Option<String>),
        seen: Observation,
    ) -> Option<Fault> {
        let entry = self.entries.get_mut(&seq)?;
        entry.live = None;
        let fault = &mut entry.fault;
        fault.state = State::Ended;
        fault.end_reason = Some(reason);
        fault.ended_at = Some(at.wall);
        fault.ended_mono_ns = Some(at.mono_ns);
        fault.error = error;
        fault.counters = seen.counters;
        fault.achieved = seen.achieved;
        fault.processes = seen.processes;
        *self.totals.ended.entry((fault.kind, reason_name(reason))).or_default() += 1;
        let fault = fault.clone();
        self.history.push_back(seq);
        if self.history.len() > HISTORY
            && let Some(oldest) = self.history.pop_front()
            && let Some(gone) = self.entries.remove(&oldest)
        {
            self.by_id.remove(&gone.fault.id);
        }
        self.publish(seq, EventKind::Ended);
        Some(fault)
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals.clone()
    }

    /// What happened lately, and a receiver of what comes next, without a gap.
    pub(super) fn subscribe(&self) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        (self.events.iter().cloned().collect(), self.sender.subscribe())
    }

    fn publish(&mut self, seq: Seq, what: EventKind) {
        let Some(entry) = self.entries.get(&seq) else { return };
        let event = Arc::new(Event {
            seq: self.next_event,
            at: clock::wall(),
            event: what,
            fault: entry.fault.clone(),
        });
        self.next_event += 1;
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Arc::clone(&event));
        // Fails when nobody listens, which is the usual case.
        let _ = self.sender.send(event);
    }
}

/// The reason as it stands in JSON and in metrics.
pub(super) const fn reason_name(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Expired => "expired",
        EndReason::Completed => "completed",
        EndReason::Reverted => "reverted",
        EndReason::LeaseLost => "lease_lost",
        EndReason::DaemonExit => "daemon_exit",
        EndReason::Failed => "failed",
    }
}

/// Nanoseconds of a duration, at most half the range so that sums do not wrap.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2).min(u64::MAX / 2)
}
