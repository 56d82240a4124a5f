//! What is alive now and would be hit: sockets and processes of a plan.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use faultd_api::{HitProcess, HitSocket, Hits, PortSet};

use super::{
    plane::Flow,
    target::{Owner, Resolved, Space},
};
use crate::{
    engine::plan::Naming,
    fault::PlanCx,
    host::{
        cgroup,
        process::{read::effective_uid, stat::Stat},
        sockets::{self, LiveSocket, Query, State},
    },
};

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

/// The live sockets of one namespace.
///
/// # Errors
/// When the kernel does not list sockets.
pub fn sockets(space: &Space, asked: &Asked<'_>) -> Result<Vec<LiveSocket>, String> {
    let target = asked.target;
    let mut query = Query {
        proto: target.proto,
        port: target.port.clone(),
        local_port: target.local_port.clone(),
        remote_port: target.remote_port.clone(),
        except_port: asked.except_port.cloned(),
        remote: asked.resolved.remotes.clone(),
        except_remote: asked.resolved.except_remotes.clone(),
        ..Query::default()
    };
    match &asked.resolved.owner {
        Owner::Any => {}
        Owner::User(uid) => query.uid = Some(*uid),
        Owner::Cgroup { path, uid, .. } => {
            query.uid = *uid;
            query.cgroups = Some(cgroup::ids_below(path).map_err(|e| e.to_string())?);
        }
        Owner::Pids(pids) => {
            query.inodes = Some(pids.iter().flat_map(|pid| sockets::inodes_of(*pid)).collect());
        }
    }
    let mut live = sockets::list(&space.netns, &query).map_err(|e| e.to_string())?;
    let is_spared = |s: &LiveSocket| {
        asked.exempt.iter().any(|flow| flow.local == s.local && flow.remote == s.remote)
    };
    // What waits for its time to be forgotten is not alive.
    live.retain(|s| s.state != State::TimeWait && !is_spared(s));
    Ok(live)
}

/// The report: all are counted, some are listed. Who holds the sockets is the
/// second part, as finding that out takes a look at every process.
pub fn report(mut live: Vec<LiveSocket>, resolved: &Resolved, cx: &PlanCx<'_>) -> (Hits, Naming) {
    let (listed, patience) = match cx.list_hits {
        true => (200, Duration::from_secs(1)),
        // Somebody waits for the answer.
        false => (5, Duration::from_millis(15)),
    };
    let socket_count = live.len();
    live.sort_by_key(rank);
    live.truncate(listed);
    let sockets = live.iter().map(|socket| HitSocket {
        proto: socket.proto.to_string(),
        state: socket.state.to_string(),
        local: socket.local.to_string(),
        remote: socket.remote.to_string(),
        process: None,
    });
    let hits = Hits {
        sockets: sockets.collect(),
        socket_count,
        processes: resolved.processes.iter().take(listed).cloned().collect(),
        process_count: resolved.processes.len(),
    };
    let known = resolved.processes.clone();
    let naming = Naming::new(move |hits: &mut Hits| {
        let holders = holders(&live, &known, patience);
        for (socket, listed) in live.iter().zip(&mut hits.sockets) {
            listed.process = holders.get(&socket.inode).cloned();
        }
    });
    (hits, naming)
}

/// What tells most comes first: who serves, then who talks.
fn rank(socket: &LiveSocket) -> u8 {
    match socket.state {
        State::Listen => 0,
        State::Unconnected => 1,
        State::Established => 2,
        _ => 3,
    }
}

/// A process behind each socket, as far as one is found in time.
fn holders(
    live: &[LiveSocket],
    known: &[HitProcess],
    patience: Duration,
) -> HashMap<u64, HitProcess> {
    // A socket that nobody holds (FIN-WAIT-2) has no inode.
    let inodes: HashSet<u64> = live.iter().map(|s| s.inode).filter(|inode| *inode != 0).collect();
    if inodes.is_empty() {
        return HashMap::new();
    }
    let candidates = match known {
        [] => sockets::likely_first(&live.iter().map(|s| s.uid).collect()),
        known => known.iter().map(|p| p.pid).collect(),
    };
    let found = sockets::holders(&inodes, candidates, patience);
    let named = found.into_iter().filter_map(|(inode, pid)| {
        let named = known.iter().find(|p| p.pid == pid).cloned().or_else(|| {
            let (comm, uid) = (Stat::read(pid).ok()?.comm, effective_uid(pid).ok()?);
            Some(HitProcess { pid, comm, uid })
        });
        Some((inode, named?))
    });
    named.collect()
}
