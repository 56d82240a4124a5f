//! A process that got a signal, and what became of it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use faultd_api::{Achieved, ProcessOutcome};

use super::recovery::{Identity, Replacement};
use crate::{
    engine::plan::Observation,
    fault::process::aim::LISTED,
    host::process::{Held, Process, ProcessRef},
};

/// A process that gets a signal.
pub struct Victim {
    reference: ProcessRef,
    comm: String,
    held: Arc<Held>,
    identity: Option<Identity>,
    sent: Option<Instant>,
    ended: Option<Instant>,
    needed_kill: bool,
    replacement: Option<(u32, Duration)>,
}

impl Victim {
    /// Takes hold of a process.
    ///
    /// # Errors
    /// `NotFound` when it has ended; `EPERM` when it may not be signalled.
    pub fn of(process: &Process) -> io::Result<Self> {
        let held = process.reference().hold()?;
        held.signal(0).map_err(|e| match e.raw_os_error() {
            Some(libc::ESRCH) => io::ErrorKind::NotFound.into(),
            _ => e,
        })?;
        Ok(Self {
            reference: process.reference(),
            comm: process.comm.clone(),
            held: Arc::new(held),
            identity: Identity::read(process.pid),
            sent: None,
            ended: None,
            needed_kill: false,
            replacement: None,
        })
    }

    /// Sends a signal, unless it has ended.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal(&mut self, signal: i32) -> io::Result<()> {
        let now = Instant::now();
        match self.held.signal(signal) {
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => {}
            Err(e) => return Err(e),
            Ok(()) => {}
        }
        if self.sent.replace(self.sent.unwrap_or(now)).is_some() {
            self.needed_kill = true;
        }
        Ok(())
    }

    /// How it is waited for.
    pub fn held(&self) -> &Arc<Held> {
        &self.held
    }

    /// Whether it has ended, as far as noticed.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// When it ended, as far as noticed.
    pub fn ended(&self) -> Option<Instant> {
        self.ended
    }

    /// Notices whether it has ended.
    pub fn notice(&mut self) {
        if self.ended.is_none() && !self.held.is_alive() {
            self.ended = Some(Instant::now());
        }
    }

    /// Its place, while it is empty.
    pub fn missing(&self) -> Option<(ProcessRef, &Identity)> {
        let empty = self.ended.is_some() && self.replacement.is_none();
        empty.then_some(self.reference).zip(self.identity.as_ref())
    }

    /// Whether another process has its place.
    pub fn is_replaced(&self) -> bool {
        self.replacement.is_some()
    }

    /// Notes a replacement, if it is this one's.
    pub fn note(&mut self, replacement: &Replacement) {
        let Some(ended) = self.ended.filter(|_| replacement.old == self.reference) else { return };
        let took = replacement.at.saturating_duration_since(ended);
        self.replacement = Some((replacement.new, took));
    }

    fn ended_ms(&self) -> Option<f64> {
        Some(ms(self.ended?.saturating_duration_since(self.sent?)))
    }

    fn outcome(&self) -> ProcessOutcome {
        ProcessOutcome {
            pid: self.reference.pid,
            comm: self.comm.clone(),
            ended_ms: self.ended_ms(),
            needed_kill: self.needed_kill,
            recovered_ms: self.replacement.map(|(_, took)| ms(took)),
            replaced_by: self.replacement.map(|(new, _)| new),
        }
    }
}

/// What was met and done so far.
pub fn observe(matched: usize, victims: &[Victim]) -> Observation {
    let mut seen = Observation::default();
    let count = |is: fn(&Victim) -> bool| victims.iter().filter(|v| is(v)).count();
    seen.counters.matched = matched as u64;
    seen.counters.affected = victims.len() as u64;
    let ended = count(Victim::has_ended);
    let needed_kill = count(|v| v.needed_kill);
    seen.counters.more.insert("ended".to_owned(), ended as u64);
    seen.counters.more.insert("needed_kill".to_owned(), needed_kill as u64);
    seen.achieved.insert("recovered".to_owned(), count(Victim::is_replaced) as f64);
    let recovered = victims.iter().filter_map(|v| Some(ms(v.replacement?.1)));
    insert_max(&mut seen.achieved, "recovered_ms_max", recovered);
    let ended = victims.iter().filter_map(Victim::ended_ms);
    insert_max(&mut seen.achieved, "ended_ms_max", ended);
    seen.processes = victims.iter().take(LISTED).map(Victim::outcome).collect();
    seen
}

fn insert_max(achieved: &mut Achieved, name: &str, values: impl Iterator<Item = f64>) {
    if let Some(most) = values.reduce(f64::max) {
        achieved.insert(name.to_owned(), most);
    }
}

/// Milliseconds, to the microsecond.
fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}
