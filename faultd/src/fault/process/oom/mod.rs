//! `oom`: the kernel runs out of memory in the target's control group, and
//! kills.

pub mod charge;
mod limits;
mod squeeze_v1;
mod squeeze_v2;
mod step;

use std::{collections::BTreeSet, sync::Arc};

use faultd_api::{BackendStatus, FaultRequest, Kind, Params, PlanStep, Target};

use super::{
    aim::{self, Aim},
    covers,
};
use crate::{
    engine::plan::{Plan, PlanError},
    fault::{FaultKind, Meets, PlanCx, backend},
    host::{
        cgroup::{MemoryGroup, MemoryVersion},
        probe::{self, Feature},
        process::stat::Stat,
    },
};
use step::{Claims, OomStep};

const MEMORY_MAX: &str = "memory-max";
const MEMORY_LIMIT: &str = "memory-limit";

/// The kind `oom`.
#[derive(Default)]
pub struct Oom {
    claims: Arc<Claims>,
}

impl FaultKind for Oom {
    fn kind(&self) -> Kind {
        Kind::Oom
    }

    fn backends(&self) -> Vec<BackendStatus> {
        vec![probe::status(Feature::MemoryMax), probe::status(Feature::MemoryLimit)]
    }

    fn plan(&self, request: &FaultRequest, cx: &PlanCx<'_>) -> Result<Plan, PlanError> {
        let mut aim = Aim::at(request, cx)?;
        let pids: Vec<u32> = aim.processes.iter().map(|p| p.pid).collect();
        let group =
            MemoryGroup::around(&pids).map_err(|why| PlanError::Unsupported(why.to_string()))?;
        let (name, reason) = match group.version() {
            MemoryVersion::V2 => (MEMORY_MAX, "the memory controller is in version 2"),
            MemoryVersion::V1 => (MEMORY_LIMIT, "the memory controller is in version 1"),
        };
        backend::insist(request, name, reason, &[MEMORY_MAX, MEMORY_LIMIT])?;
        backend::available(&self.backends(), name)?;
        theirs_alone(&group, &mut aim)?;
        kills_are_allowed(&group)?;
        if self.claims.overlaps(group.dir()) {
            let dir = group.dir().display();
            let message =
                format!("an oom fault is active in {dir}; revert it, or wait for its end");
            return Err(PlanError::Unsafe(message));
        }
        let hits = aim.hits(cx);
        let rails = std::mem::take(&mut aim.rails);
        let dir = group.dir().display();
        let description = PlanStep {
            apply: format!(
                "lower {} in {dir} until the kernel kills",
                group.version().limit_file()
            ),
            undo: "the limit is put back, from the undo journal".to_owned(),
        };
        let notes = vec![format!("the kernel chooses whom it kills, of those in {dir}")];
        let step = OomStep { description, claims: Arc::clone(&self.claims), group };
        Ok(Plan {
            backend: name.to_owned(),
            backend_reason: reason.to_owned(),
            steps: vec![Box::new(step)],
            hits,
            naming: None,
            rails,
            notes,
        })
    }

    fn meets(&self, _: &Params, target: &Target, query: &Target) -> Option<Meets> {
        let effect = "runs out of memory in its control group".to_owned();
        Some(Meets { effect, covers: covers(target, query)? })
    }
}

/// Refuses a group in which others live: the kernel may pick them.
fn theirs_alone(group: &MemoryGroup, aim: &mut Aim) -> Result<(), PlanError> {
    let members = group.members().map_err(|e| PlanError::Host(e.to_string()))?;
    // Afterwards, so that who was born meanwhile is no stranger.
    aim.catch_up();
    let meant: BTreeSet<u32> = aim.processes.iter().map(|p| p.pid).collect();
    let alive = |pid: &u32| Stat::read(*pid).ok().filter(|stat| !stat.is_dead());
    let others: Vec<Stat> = members.difference(&meant).filter_map(alive).collect();
    let Some(one) = others.first() else { return Ok(()) };
    let more = match others.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let rails = match aim.rails.is_empty() {
        true => String::new(),
        false => format!("; {}", aim::words(&aim.rails)),
    };
    Err(PlanError::Unsupported(format!(
        "the memory control group of the target, {}, is not its own: process {} ({}){more} lives \
         there too, and the kernel might kill it; start the target in a group of its own \
         (systemd-run --scope){rails}",
        group.dir().display(),
        one.pid,
        one.comm,
    )))
}

/// Version 1 can be told to let processes wait instead.
fn kills_are_allowed(group: &MemoryGroup) -> Result<(), PlanError> {
    if group.version() == MemoryVersion::V2 {
        return Ok(());
    }
    let control = group.read("memory.oom_control").map_err(|e| PlanError::Host(e.to_string()))?;
    if !control.lines().any(|line| line == "oom_kill_disable 1") {
        return Ok(());
    }
    Err(PlanError::Unsupported(format!(
        "{}/memory.oom_control says oom_kill_disable: the kernel would not kill there",
        group.dir().display()
    )))
}
