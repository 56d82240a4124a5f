//! The one step of an out-of-memory fault: limits down, a kill counted, limits
//! back.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
    time::{Duration, Instant},
};

use faultd_api::{PlanStep, ProcessOutcome};

use super::{limits::Limits, squeeze_v1, squeeze_v2};
use crate::{
    engine::plan::{Applied, ApplyCx, Finisher, Observation, Step, StepError},
    fault::process::{
        aim::LISTED,
        watch::{Stop, Watch},
    },
    host::{
        cgroup::{MemoryGroup, MemoryVersion},
        process::{ProcessRef, stat::Stat},
    },
};

/// How long the start of the fault waits for the limit to be lowered, which
/// takes as long as the kernel needs to reclaim.
const LOWERING: Duration = Duration::from_secs(2);
/// How often to look whether the kernel has killed.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a process that was killed may take to be gone.
const DYING: Duration = Duration::from_secs(1);

/// The groups in which faults of this daemon have lowered limits. One fault a
/// group: a second one would take the lowered limit for the one to restore.
#[derive(Default)]
pub struct Claims(Mutex<BTreeSet<PathBuf>>);

impl Claims {
    /// Whether a group, one above or one below is taken.
    pub fn overlaps(&self, dir: &Path) -> bool {
        self.dirs().iter().any(|taken| taken.starts_with(dir) || dir.starts_with(taken))
    }

    fn take(self: &Arc<Self>, dir: &Path) -> anyhow::Result<Claim> {
        anyhow::ensure!(!self.overlaps(dir), "another oom fault is active in {}", dir.display());
        self.dirs().insert(dir.to_owned());
        Ok(Claim { claims: Arc::clone(self), dir: dir.to_owned() })
    }

    fn dirs(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group that is taken, until dropped.
struct Claim {
    claims: Arc<Claims>,
    dir: PathBuf,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.dirs().remove(&self.dir);
    }
}

/// Has the kernel kill in a memory control group.
pub struct OomStep {
    /// In words.
    pub description: PlanStep,
    /// Groups that are taken.
    pub claims: Arc<Claims>,
    /// The group.
    pub group: MemoryGroup,
}

impl Step for OomStep {
    fn describe(&self) -> PlanStep {
        self.description.clone()
    }

    fn apply(self: Box<Self>, cx: &ApplyCx<'_>) -> Result<Box<dyn Applied>, StepError> {
        let Self { description, claims, group } = *self;
        let failed = |e: anyhow::Error| StepError::new(&*description.apply, e);
        let claim = claims.take(group.dir()).map_err(failed)?;
        let shared = Shared::new(&group).map_err(failed)?;
        let limits = Limits::new(group, cx.fault, cx.expires_boot_ns, cx.journal);
        let limits = Arc::new(limits);
        let (begun, beginning) = mpsc::channel();
        let run = Run {
            squeeze: Squeeze { shared: Arc::clone(&shared), begun },
            limits: Arc::clone(&limits),
            finisher: cx.finisher.clone(),
        };
        let watch = Watch::start("fault-oom", move |stop| run.run(stop));
        let watch = watch.map_err(|e| failed(e.into()))?;
        let mut applied = Squeezed { shared, limits, watch, _claim: claim };
        // Silence is the kernel reclaiming, which is part of the fault.
        if let Ok(Err(e)) = beginning.recv_timeout(LOWERING) {
            let left = applied.take_back().err();
            return Err(failed(
                left.into_iter().fold(e, |e, l| e.context(format!("and then {l}"))),
            ));
        }
        Ok(Box::new(applied))
    }
}

/// What the thread and the report share.
struct Shared {
    group: MemoryGroup,
    /// Who was in the group when it began.
    members: Vec<(ProcessRef, String)>,
    kills_before: u64,
    /// Kills of our own process, which do not count.
    own_kills: AtomicU64,
    kills: AtomicU64,
    limit: AtomicU64,
    started: Instant,
    ended: Mutex<Vec<ProcessOutcome>>,
}

impl Shared {
    fn new(group: &MemoryGroup) -> anyhow::Result<Arc<Self>> {
        let stats = group.members()?.into_iter().filter_map(|pid| Stat::read(pid).ok());
        let members = stats.map(|s| (ProcessRef { pid: s.pid, start_time: s.start_time }, s.comm));
        Ok(Arc::new(Self {
            members: members.collect(),
            kills_before: group.oom_kills()?,
            own_kills: AtomicU64::new(0),
            kills: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            started: Instant::now(),
            ended: Mutex::default(),
            group: group.clone(),
        }))
    }

    fn count(&self) -> u64 {
        // The last known number where the group is gone.
        if let Ok(now) = self.group.oom_kills() {
            let own = self.own_kills.load(Ordering::Relaxed);
            self.kills.store(now.saturating_sub(self.kills_before + own), Ordering::Relaxed);
        }
        self.kills.load(Ordering::Relaxed)
    }

    /// Who has ended; waits until these are as many as were killed.
    fn take_roll(&self, stop: &Stop) {
        let start = Instant::now();
        loop {
            let gone = self.members.iter().filter(|(process, _)| process.state().is_none());
            let ended_ms = Some(self.started.elapsed().as_micros() as f64 / 1e3);
            let gone: Vec<_> = gone
                .map(|(process, comm)| ProcessOutcome {
                    pid: process.pid,
                    comm: comm.clone(),
                    ended_ms,
                    ..ProcessOutcome::default()
                })
                .collect();
            let enough = gone.len() as u64 >= self.count();
            if enough || start.elapsed() >= DYING || stop.wait(LOOK_EVERY) {
                *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = gone;
                return;
            }
        }
    }
}

/// What the two ways to squeeze tell about their progress.
pub struct Squeeze {
    shared: Arc<Shared>,
    begun: Sender<anyhow::Result<()>>,
}

impl Squeeze {
    /// The limit is about to be this.
    pub fn lowered_to(&self, limit: u64) {
        self.shared.limit.store(limit, Ordering::Relaxed);
    }

    /// The limit was taken: the fault is in force.
    pub fn begun(&self) {
        // Nobody listens any more after the first time.
        let _ = self.begun.send(Ok(()));
    }

    /// Kills that were counted before.
    pub fn kills_before(&self) -> u64 {
        self.shared.kills_before
    }

    /// Whether the kernel has killed a process of the target.
    pub fn has_killed(&self) -> bool {
        self.shared.count() > 0
    }

    /// The kernel has picked our own process.
    pub fn own_kill(&self) {
        tracing::warn!("the kernel killed faultd's own process in the group (CAP_SYS_RESOURCE?)");
        self.shared.own_kills.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the thread does.
struct Run {
    squeeze: Squeeze,
    limits: Arc<Limits>,
    finisher: Finisher,
}

impl Run {
    fn run(self, stop: &Stop) {
        let Self { squeeze, limits, finisher } = self;
        let squeezed = match limits.group().version() {
            MemoryVersion::V1 => squeeze_v1::squeeze(&limits, &squeeze, stop),
            MemoryVersion::V2 => squeeze_v2::squeeze(&limits, &squeeze, stop),
        };
        if let Err(e) = squeezed {
            // Too late for the start of the fault: the group may be gone.
            if let Err(mpsc::SendError(Err(e))) = squeeze.begun.send(Err(e)) {
                tracing::warn!("out-of-memory fault: {e:#}");
            }
            return;
        }
        // Whoever asks for memory next is killed as well.
        while !squeeze.has_killed() {
            if stop.wait(LOOK_EVERY) {
                return;
            }
        }
        if let Err(e) = limits.restore() {
            tracing::error!("{e:#}");
        }
        squeeze.shared.take_roll(stop);
        finisher.finish();
    }
}

/// Limits that are lowered.
struct Squeezed {
    shared: Arc<Shared>,
    limits: Arc<Limits>,
    watch: Watch,
    _claim: Claim,
}

impl Squeezed {
    fn take_back(&mut self) -> anyhow::Result<()> {
        self.watch.end();
        self.limits.restore()
    }
}

impl Applied for Squeezed {
    fn revert(&mut self) -> Result<(), StepError> {
        self.take_back().map_err(|e| StepError::new("putting memory limits back", e))
    }

    fn observe(&mut self) -> Observation {
        let mut seen = Observation::default();
        let kills = self.shared.count();
        seen.counters.matched = self.shared.members.len() as u64;
        seen.counters.affected = kills;
        seen.achieved.insert("oom_kills".to_owned(), kills as f64);
        let own_kills = self.shared.own_kills.load(Ordering::Relaxed);
        if own_kills > 0 {
            seen.counters.more.insert("own_kills".to_owned(), own_kills);
        }
        if kills > 0 {
            let limit = self.shared.limit.load(Ordering::Relaxed);
            seen.achieved.insert("limit_bytes".to_owned(), limit as f64);
        }
        let ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        seen.processes = ended.iter().take(LISTED).cloned().collect();
        seen
    }
}
