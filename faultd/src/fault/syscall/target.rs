//! Whose calls: from a target as typed to what the programs can match.

use faultd_api::{HitProcess, Invalid, Target};

use crate::{
    engine::plan::PlanError,
    fault::{PlanCx, unresolved},
    host::process::{self, ProcessScope, Protection, Table},
};

/// Whose calls fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of these processes and their children.
    Pids(Vec<u32>),
    /// Those of whoever is in this control group or of this user, those to come
    /// included, but for some.
    Scope {
        /// Id and depth of the group.
        group: Option<(u64, u32)>,
        /// The user.
        uid: Option<u32>,
        /// Processes that are left alone, with their children.
        exempt: Vec<u32>,
    },
}

/// A target as this host understands it right now.
pub struct Resolved {
    /// Whose calls fail.
    pub whose: Whose,
    /// The processes now.
    pub processes: Vec<HitProcess>,
    /// In words, for people.
    pub words: String,
    /// Rails that stand, in words.
    pub rails: Vec<String>,
}

/// Resolves a target. Touches nothing.
///
/// # Errors
/// When it names no process, or one that is protected.
pub fn resolve(target: &Target, cx: &PlanCx<'_>, force: bool) -> Result<Resolved, PlanError> {
    if !target.has_process_part() || target.netns.is_some() {
        let message = "syscall needs a process target: --pid, --name, --exe, --cmdline, --user, \
            --cgroup, --unit or --container";
        return Err(Invalid::new("pid", message).into());
    }
    let resolved = process::resolve(target, force).map_err(|e| unresolved(&e))?;
    let protection = Protection::new(cx.caller.pid, &cx.protected.units, &cx.protected.processes);
    let protected: Vec<(u32, String, String)> = resolved
        .processes
        .iter()
        .filter(|found| !(force && target.pid.contains(&found.pid)))
        .filter_map(|p| Some((p.pid, p.comm.clone(), protection.reason(p.pid)?)))
        .collect();
    let processes = resolved.processes.iter().map(HitProcess::from).collect::<Vec<_>>();
    let (group, uid) = match resolved.scope {
        ProcessScope::Pids => {
            if let Some((pid, comm, reason)) = protected.first() {
                let message = format!("the target includes process {pid} ({comm}): {reason}");
                return Err(PlanError::Unsafe(message));
            }
            let pids: Vec<u32> = processes.iter().map(|p| p.pid).collect();
            let words = format!("{} processes and their children", pids.len());
            return Ok(Resolved { whose: Whose::Pids(pids), processes, words, rails: Vec::new() });
        }
        ProcessScope::Cgroup { id, level, .. } => (Some((id, level)), resolved.uid),
        ProcessScope::User => (None, resolved.uid),
    };
    let mut exempt = own_family()?;
    let mut rails = vec!["faultd and the init process are left alone".to_owned()];
    for (pid, comm, reason) in &protected {
        exempt.push(*pid);
        rails.push(format!("process {pid} ({comm}) is left alone: {reason}"));
    }
    let left = |p: &HitProcess| !exempt.contains(&p.pid);
    let processes = processes.into_iter().filter(left).collect();
    let words = target.to_string();
    Ok(Resolved { whose: Whose::Scope { group, uid, exempt }, processes, words, rails })
}

/// The daemon and its children.
fn own_family() -> Result<Vec<u32>, PlanError> {
    let table = Table::read().map_err(|e| PlanError::Host(format!("reading /proc: {e}")))?;
    Ok(table.family(std::process::id()).into_iter().collect())
}
