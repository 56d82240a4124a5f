//! What is alive now and would be hit: sockets and processes of a plan.

use std::collections::HashSet;

use faultd_api::{HitProcess, HitSocket, Hits, PortSet};

use super::{
    plane::Flow,
    target::{Owner, Resolved, Space},
};
use crate::{
    fault::PlanCx,
    host::sockets::{self, LiveSocket, Query},
};

/// The most sockets and processes that a report lists; all are counted.
const LISTED: usize = 200;

/// What sockets are looked at.
pub struct Asked<'a> {
    /// The target as typed.
    pub target: &'a faultd_api::Target,
    /// The target on this host.
    pub resolved: &'a Resolved,
    /// Its exceptions, the policy's included.
    pub except_port: Option<&'a PortSet>,
    /// Flows that are left alone.
    pub exempt: &'a [Flow],
}

/// Adds the live sockets of one namespace.
///
/// # Errors
/// When the kernel does not list sockets.
pub fn add_sockets(
    hits: &mut Hits,
    space: &Space,
    asked: &Asked<'_>,
    cx: &PlanCx<'_>,
) -> Result<(), String> {
    let scoped = asked.resolved.owner.is_scoped();
    // Whose a socket is costs a look at every descriptor of its owner.
    if scoped && !cx.list_hits && !matches!(asked.resolved.owner, Owner::User(_)) {
        return Ok(());
    }
    let target = asked.target;
    let (uid, inodes) = match &asked.resolved.owner {
        Owner::Any => (None, None),
        Owner::User(uid) => (Some(*uid), None),
        Owner::Cgroup { uid, .. } => (*uid, Some(inodes(&asked.resolved.processes))),
        Owner::Pids(_) => (None, Some(inodes(&asked.resolved.processes))),
    };
    let query = Query {
        proto: target.proto,
        port: target.port.clone(),
        local_port: target.local_port.clone(),
        remote_port: target.remote_port.clone(),
        except_port: asked.except_port.cloned(),
        remote: asked.resolved.remotes.clone(),
        except_remote: asked.resolved.except_remotes.clone(),
        inodes,
        uid,
        ..Query::default()
    };
    let live = sockets::list(&space.netns, &query).map_err(|e| e.to_string())?;
    let spared = |s: &LiveSocket| {
        asked.exempt.iter().any(|flow| flow.local == s.local && flow.remote == s.remote)
    };
    for socket in live.iter().filter(|socket| !spared(socket)) {
        hits.socket_count += 1;
        if hits.sockets.len() < LISTED {
            hits.sockets.push(HitSocket {
                proto: socket.proto.to_string(),
                state: socket.state.to_string(),
                local: socket.local.to_string(),
                remote: socket.remote.to_string(),
            });
        }
    }
    Ok(())
}

fn inodes(processes: &[HitProcess]) -> HashSet<u64> {
    processes.iter().flat_map(|process| sockets::inodes_of(process.pid)).collect()
}

/// Adds the processes behind a target.
pub fn add_processes(hits: &mut Hits, processes: &[HitProcess]) {
    hits.process_count += processes.len();
    let room = LISTED.saturating_sub(hits.processes.len());
    hits.processes.extend(processes.iter().take(room).cloned());
}
