//! The processes that a target means: the one place where that is decided.

use std::collections::HashSet;

use faultd_api::Target;

use super::{
    Process, ProcessScope, Resolved, criteria::Criterion, error::ResolveError, read, stat::Stat,
    table::Table,
};
use crate::host::cgroup::{self, procs_below};

/// The processes whose traffic a target means: those that meet every
/// condition, with all their descendants where the target cannot be described
/// in any other way. May be none where some can come.
///
/// faultd itself and its children and threads of the kernel are never among
/// them, pid 1 only if it is named by id and the caller insists (`force`).
///
/// # Errors
/// When a condition is malformed, or nothing meets them all.
pub fn resolve(target: &Target, force: bool) -> Result<Resolved, ResolveError> {
    resolve_for(target, force, std::process::id())
}

/// The processes that a fault on processes themselves is to act on: like
/// [`resolve`], but `--netns` narrows as well, and there is at least one.
///
/// # Errors
/// When a condition is malformed, or nothing meets them all.
pub fn resolve_acting(target: &Target, force: bool) -> Result<Resolved, ResolveError> {
    resolve_acting_for(target, force, std::process::id())
}

/// The same for a daemon that is process `own`.
pub(super) fn resolve_acting_for(
    target: &Target,
    force: bool,
    own: u32,
) -> Result<Resolved, ResolveError> {
    let mut criteria = Criterion::of(target)?;
    if let Some(netns) = &target.netns {
        let narrows = Criterion::netns(netns)?;
        let of_host = Stat::read(INIT).is_ok_and(|init| narrows.is_met(&init));
        if !target.has_process_part() && (of_host || is_own(&narrows)) {
            return Err(ResolveError::HostNetns(netns.clone()));
        }
        criteria.push(narrows);
    }
    if criteria.is_empty() && target.pid.is_empty() {
        return Err(ResolveError::NothingNamed);
    }
    meeting(target, criteria, Options { force, own, may_be_none: false })
}

/// Whether this process meets a condition.
fn is_own(criterion: &Criterion) -> bool {
    Stat::read(std::process::id()).is_ok_and(|own| criterion.is_met(&own))
}

/// [`resolve`] for a daemon that is process `own`.
pub(super) fn resolve_for(
    target: &Target,
    force: bool,
    own: u32,
) -> Result<Resolved, ResolveError> {
    if !target.has_process_part() {
        return Err(ResolveError::NothingNamed);
    }
    meeting(target, Criterion::of(target)?, Options { force, own, may_be_none: true })
}

/// How a target is looked at.
#[derive(Clone, Copy)]
struct Options {
    /// Pid 1 may be named.
    force: bool,
    /// The daemon's process id.
    own: u32,
    /// Whether a group or user without processes is a target.
    may_be_none: bool,
}

fn meeting(
    target: &Target,
    criteria: Vec<Criterion>,
    Options { force, own, may_be_none }: Options,
) -> Result<Resolved, ResolveError> {
    let table = Table::read().map_err(ResolveError::Proc)?;
    let own = table.family(own);
    let off_limits = |stat: &Stat| never_a_target(stat, &own);

    let mut matching: Vec<&Stat> = if target.pid.is_empty() {
        table.iter().filter(|s| off_limits(s).is_none() && !s.is_dead()).collect()
    } else {
        named(target, &table, force, off_limits)?
    };
    let scope = scope(target, &criteria)?;
    let may_be_empty = match &scope {
        // Processes may join it, sockets may come.
        ProcessScope::Cgroup { .. } => may_be_none && target.cgroup.is_some(),
        ProcessScope::User => may_be_none,
        ProcessScope::Pids => false,
    };
    for (i, criterion) in criteria.iter().enumerate() {
        matching.retain(|s| criterion.is_met(s));
        if matching.is_empty() && !may_be_empty {
            let others = table.iter().filter(|s| off_limits(s).is_some());
            return Err(no_match(target, &criteria[..=i], others));
        }
    }
    let roots = matching.iter().map(|s| s.pid);
    let pids: HashSet<u32> = match scope {
        ProcessScope::Pids => table.with_descendants(roots, &own),
        ProcessScope::Cgroup { .. } | ProcessScope::User => roots.collect(),
    };
    let wants_exe = target.exe.is_some();
    let mut processes: Vec<Process> = pids
        .into_iter()
        .filter_map(|pid| table.get(pid))
        .filter_map(|s| process(s, wants_exe))
        .collect();
    processes.sort_unstable_by_key(|p| p.pid);
    let uid = criteria.iter().find_map(|c| match c {
        Criterion::User { uid, .. } => Some(*uid),
        _ => None,
    });
    let group = criteria.into_iter().find_map(|c| match c {
        Criterion::Group { group, .. } => Some(group),
        _ => None,
    });
    Ok(Resolved { processes, scope, uid, group })
}

/// The init process of the namespace that faultd sees.
const INIT: u32 = 1;

/// Why a process is never a target.
pub(super) fn never_a_target(stat: &Stat, own: &HashSet<u32>) -> Option<&'static str> {
    match stat.pid {
        INIT => Some("the init process"),
        _ if stat.is_kernel_thread() => Some("a thread of the kernel"),
        pid if own.contains(&pid) => Some("faultd's own"),
        _ => None,
    }
}

/// The processes that the target lists by id.
fn named<'t>(
    target: &Target,
    table: &'t Table,
    force: bool,
    off_limits: impl Fn(&Stat) -> Option<&'static str>,
) -> Result<Vec<&'t Stat>, ResolveError> {
    let mut all: Vec<&Stat> = Vec::with_capacity(target.pid.len());
    for &pid in &target.pid {
        let Some(stat) = table.get(pid) else {
            // Threads are not listed, but can be looked up.
            return Err(match cgroup::thread_group(pid) {
                Some(leader) if leader != pid => ResolveError::Thread { tid: pid, pid: leader },
                _ => ResolveError::NoProcess(pid),
            });
        };
        match off_limits(stat) {
            Some(_) if pid == INIT && force => {}
            Some(_) if pid == INIT => return Err(ResolveError::Init { pid }),
            Some(what) => return Err(ResolveError::Protected { pid, what }),
            None => {}
        }
        if stat.is_dead() {
            return Err(ResolveError::Ended(pid));
        }
        if !all.iter().any(|s| s.pid == pid) {
            all.push(stat);
        }
    }
    Ok(all)
}

/// The most general description that the kernel can evaluate by itself, so
/// that processes and sockets that appear later are covered too.
fn scope(target: &Target, criteria: &[Criterion]) -> Result<ProcessScope, ResolveError> {
    if !target.pid.is_empty() {
        return Ok(ProcessScope::Pids);
    }
    Ok(match criteria {
        [Criterion::User { .. }] => ProcessScope::User,
        [group @ Criterion::Group { .. }]
        | [group @ Criterion::Group { .. }, Criterion::User { .. }] => scope_of(group)?,
        _ => ProcessScope::Pids,
    })
}

/// A group in version 2 is a scope, provided that it really holds the
/// processes: a path may exist there and be populated in version 1 only.
fn scope_of(criterion: &Criterion) -> Result<ProcessScope, ResolveError> {
    let Criterion::Group { field, group, pids, .. } = criterion else {
        return Ok(ProcessScope::Pids);
    };
    let (Some(v2), Some(dir)) = (group.v2, group.v2_dir()) else { return Ok(ProcessScope::Pids) };
    let inside = procs_below(dir).map_err(|e| ResolveError::Cgroup { field, reason: e.into() })?;
    // `inside` is the newer list: it may lack what has ended since.
    let ended = |pid: &u32| Stat::read(*pid).map_or(true, |s| s.is_dead());
    if pids.difference(&inside).all(ended) {
        return Ok(ProcessScope::Cgroup { id: v2.id, level: v2.level, path: group.path.clone() });
    }
    Ok(ProcessScope::Pids)
}

fn process(stat: &Stat, wants_exe: bool) -> Option<Process> {
    let exe = if wants_exe { read::exe(stat.pid) } else { None };
    Some(Process { exe, ..Process::of(stat)? })
}

/// The last of `criteria` is the one that left nothing over.
fn no_match<'t>(
    target: &Target,
    criteria: &[Criterion],
    mut off_limits: impl Iterator<Item = &'t Stat>,
) -> ResolveError {
    let pids = match target.pid.as_slice() {
        [] => None,
        [pid] => Some(format!("is {pid}")),
        several => {
            let list: Vec<_> = several.iter().map(u32::to_string).collect();
            Some(format!("is one of {}", list.join(", ")))
        }
    };
    let words: Vec<_> = pids.into_iter().chain(criteria.iter().map(Criterion::words)).collect();
    // Worth a word only where it is cheap and not all but certain.
    let note = match criteria {
        [one @ Criterion::Name(_)] if target.pid.is_empty() => off_limits
            .find(|s| one.is_met(s))
            .map(|s| format!("; process {} has, but it is never a target", s.pid)),
        _ => None,
    };
    ResolveError::NoMatch {
        field: criteria.last().map_or("pid", Criterion::field),
        criteria: words.join(" and "),
        note: note.unwrap_or_default(),
    }
}
