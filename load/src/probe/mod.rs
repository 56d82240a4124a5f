//! The availability probe: a small steady stream of requests of its own, on a thread of its own,
//! so that it sees the target whatever the load is doing.
//!
//! Two streams, fifty a second each: one opens a connection each time, as a new client would, the
//! other keeps its connection. Probes do not wait for each other.

mod outages;
mod stream;

use std::{io, sync::Arc, thread};

use tokio::{
    runtime::{Builder, LocalOptions},
    sync::watch,
};

pub use outages::{Outages, Probed};
pub use stream::{Seen, Setup};

use crate::{
    engine::Epoch,
    plan::{ProbePlan, TlsFiles},
    protocol::net::TargetError,
    schedule::nanos,
    summary::{Probe, Second},
    template::TemplateError,
};

/// A probe cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its target cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Its request cannot be written.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// There is no thread, or no event loop.
    #[error(transparent)]
    Loop(#[from] io::Error),
}

/// A probe at work.
#[derive(Debug)]
pub struct Running {
    thread: thread::JoinHandle<io::Result<(Seen, Seen)>>,
    stop: watch::Sender<bool>,
    epoch: Epoch,
    every: u64,
}

/// All that a probe has seen.
#[derive(Debug)]
pub struct Observed {
    /// A new connection each time.
    pub fresh: Seen,
    /// A connection kept open.
    pub pooled: Seen,
    /// Nanoseconds between two probes of a stream.
    pub every: u64,
}

impl Running {
    /// Starts a thread that probes as `plan` says, on the clock of a run; `tls` is that of the run.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn start(plan: &ProbePlan, tls: &TlsFiles, epoch: Epoch) -> Result<Self, StartError> {
        let setup = Arc::new(Setup::new(plan, tls)?);
        let (stop, stopped) = watch::channel(false);
        let body = move || {
            let runtime =
                Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?;
            runtime.block_on(stream::both(setup, epoch, stopped))
        };
        let thread = thread::Builder::new().name("probe".into()).spawn(body)?;
        Ok(Self { thread, stop, epoch, every: nanos(plan.every) })
    }

    /// Ends it, waits for the last answers, and notes in each row of the timeline what was seen.
    #[must_use]
    pub fn finish(self, timeline: &mut [Second]) -> Option<Observed> {
        let end = self.epoch.now();
        self.stop.send_replace(true);
        // It has nothing that could panic; if it does, there is no probe in the results.
        let (mut fresh, mut pooled) = self.thread.join().ok()?.ok()?;
        for row in timeline {
            for seen in [&fresh, &pooled] {
                if let Some(&(ok, failed)) = seen.seconds.get(row.t_s as usize) {
                    row.probes_ok += u64::from(ok);
                    row.probes_failed += u64::from(failed);
                }
            }
        }
        fresh.outages.finish(end);
        pooled.outages.finish(end);
        Some(Observed { fresh, pooled, every: self.every })
    }
}

impl Observed {
    /// As results show it.
    #[must_use]
    pub fn summary(&self, name: &str) -> Probe {
        let rate = 2.0 * 1e9 / self.every.max(1) as f64;
        let (fresh, pooled) = (self.fresh.summary(), self.pooled.summary());
        Probe { name: name.to_owned(), rate, fresh, pooled }
    }

    /// What was seen in a stretch of time: the share of probes that were answered, and the longest
    /// outage of either stream in seconds. `None`: no probe was due in it.
    #[must_use]
    pub fn within(&self, start: u64, end: u64) -> Option<(f64, f64)> {
        let streams = [&self.fresh, &self.pooled];
        let due: u64 = streams.iter().map(|seen| seen.due_within(start, end, self.every)).sum();
        let failed: u64 = streams.iter().map(|seen| seen.failed_within(start, end)).sum();
        let longest = streams.iter().map(|seen| seen.outages.longest_within(start, end)).max();
        let ratio = due.saturating_sub(failed) as f64 / due as f64;
        (due > 0).then(|| (ratio, longest.unwrap_or(0) as f64 / 1e9))
    }
}
