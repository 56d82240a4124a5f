//! The one step of a kill: the signals, and the watch that follows.

use std::{
    io,
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use faultd_api::{Pick, PlanStep, SignalName};

use super::{
    pick,
    recovery::Scan,
    victim::{self, Victim},
};
use crate::{
    engine::plan::{Applied, ApplyCx, Finisher, Observation, Step, StepError},
    fault::process::{
        aim::Crowd,
        watch::{Stop, Watch},
    },
    host::process::Process,
};

/// Nobody to wait for and nobody missing: only the end of the fault counts.
const FOREVER: Duration = Duration::from_secs(3600);

/// Sends signals and watches what comes of them.
pub struct KillStep {
    /// In words.
    pub description: PlanStep,
    /// What is sent first.
    pub signal: SignalName,
    /// How long until KILL follows, if it does.
    pub grace: Option<Duration>,
    /// How many of the processes.
    pub pick: Pick,
    /// Those that match.
    pub processes: Vec<Process>,
    /// Those that have come to match since.
    pub crowd: Crowd,
}

impl Step for KillStep {
    fn describe(&self) -> PlanStep {
        self.description.clone()
    }

    fn apply(mut self: Box<Self>, cx: &ApplyCx<'_>) -> Result<Box<dyn Applied>, StepError> {
        let what = self.description.apply.clone();
        let mut processes = std::mem::take(&mut self.processes);
        // A choice is one from the plan; all means all.
        if self.pick == Pick::All {
            processes.extend(self.crowd.newcomers(true));
        }
        let matched = processes.len();
        let count = self.pick.of(matched).unwrap_or(matched);
        let chosen = pick::choose(processes, count, cx.seed);
        let mut victims = hold(&chosen).map_err(|e| StepError::new(&*what, e))?;
        let scan = Scan::new();
        for victim in &mut victims {
            let sent = victim.signal(self.signal.number());
            sent.map_err(|e| StepError::new(format!("{what} (some have got it)"), e))?;
        }
        let hunt = Hunt {
            victims: Arc::new(Mutex::new(victims)),
            grace: self.grace.map(|grace| Instant::now() + grace),
            finisher: cx.finisher.clone(),
        };
        let victims = Arc::clone(&hunt.victims);
        let watch = Watch::start("fault-kill", move |stop| hunt.run(stop, scan));
        if let Err(e) = &watch {
            // The signals are out: the fault is in force, its report poor.
            tracing::error!("cannot watch what becomes of killed processes: {e}");
        }
        Ok(Box::new(Killed { matched, victims, watch: watch.ok() }))
    }
}

/// Takes hold of all before the first signal is sent.
fn hold(processes: &[Process]) -> anyhow::Result<Vec<Victim>> {
    let mut victims = Vec::with_capacity(processes.len());
    for process in processes {
        match Victim::of(process) {
            Ok(victim) => victims.push(victim),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => anyhow::bail!("process {} ({}): {e}", process.pid, process.comm),
        }
    }
    anyhow::ensure!(!victims.is_empty(), "all of them have ended meanwhile");
    Ok(victims)
}

type Victims = Arc<Mutex<Vec<Victim>>>;

fn lock(victims: &Victims) -> MutexGuard<'_, Vec<Victim>> {
    victims.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the watch does.
struct Hunt {
    victims: Victims,
    /// When KILL follows.
    grace: Option<Instant>,
    finisher: Finisher,
}

impl Hunt {
    fn run(mut self, stop: &Stop, mut scan: Scan) {
        loop {
            let over = {
                let mut victims = lock(&self.victims);
                victims.iter_mut().for_each(Victim::notice);
                if self.grace.is_some_and(|at| at <= Instant::now()) {
                    self.grace = None;
                    kill_rest(&mut victims);
                }
                recover(&mut victims, &mut scan);
                victims.iter().all(Victim::is_replaced)
            };
            if over {
                self.finisher.finish();
                return;
            }
            if self.sleep(stop) {
                return;
            }
        }
    }

    /// Until something may have happened; whether the watch has to end.
    fn sleep(&self, stop: &Stop) -> bool {
        // Shared, so that readers of the report need not wait.
        let (alive, missing_since) = {
            let victims = lock(&self.victims);
            let alive = victims.iter().filter(|v| !v.has_ended());
            let alive: Vec<_> = alive.map(|v| Arc::clone(v.held())).collect();
            let missing = victims.iter().filter(|v| v.missing().is_some());
            (alive, missing.filter_map(Victim::ended).max())
        };
        let grace = self.grace.map(|at| at.saturating_duration_since(Instant::now()));
        let look = missing_since.map(|since| look_every(since.elapsed()));
        let limit = grace.into_iter().chain(look).min().unwrap_or(FOREVER);
        stop.wait_for(alive.iter().map(|held| held.pidfd.as_fd()), limit)
    }
}

fn kill_rest(victims: &mut [Victim]) {
    for victim in victims.iter_mut().filter(|v| !v.has_ended()) {
        if let Err(e) = victim.signal(libc::SIGKILL) {
            tracing::error!("KILL to process {} after its grace period: {e}", victim.held().pid);
        }
    }
}

fn recover(victims: &mut [Victim], scan: &mut Scan) {
    let missing: Vec<_> = victims.iter().filter_map(Victim::missing).collect();
    if missing.is_empty() {
        return;
    }
    let found = scan.look(&missing);
    for replacement in &found {
        victims.iter_mut().for_each(|victim| victim.note(replacement));
    }
}

/// How often to look for a replacement: as exactly as the time that it takes.
fn look_every(missing_for: Duration) -> Duration {
    match missing_for.as_secs() {
        0..2 => Duration::from_millis(10),
        2..30 => Duration::from_millis(50),
        _ => Duration::from_millis(200),
    }
}

/// Signals that were sent.
struct Killed {
    matched: usize,
    victims: Victims,
    watch: Option<Watch>,
}

impl Applied for Killed {
    fn revert(&mut self) -> Result<(), StepError> {
        if let Some(mut watch) = self.watch.take() {
            watch.end();
        }
        Ok(())
    }

    fn observe(&mut self) -> Observation {
        victim::observe(self.matched, &lock(&self.victims))
    }
}
