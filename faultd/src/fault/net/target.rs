//! From a target as typed to what the rule table can match: names become
//! addresses, processes become sockets' owners, interfaces become indexes.

use std::net::{IpAddr, ToSocketAddrs};

use faultd_api::{HitProcess, Invalid, Target};
use ipnet::IpNet;

use super::line;
use crate::{
    engine::plan::PlanError,
    fault::{PlanCx, unresolved},
    host::{
        links::{self, Link},
        netns::{Netns, NetnsError},
        process::{self, ProcessScope, Protection},
    },
};

/// The most prefixes that one rule can hold (`faultd_abi::MAX_PREFIXES`).
const MAX_PREFIXES: usize = 8;

/// A target as this host understands it right now.
pub struct Resolved {
    /// The namespaces whose traffic is meant, with their interfaces.
    pub spaces: Vec<Space>,
    /// Addresses of the other end; empty means any.
    pub remotes: Vec<IpNet>,
    /// Addresses of the other end that are left alone.
    pub except_remotes: Vec<IpNet>,
    /// Whose sockets.
    pub owner: Owner,
    /// Processes behind the target, when it names any.
    pub processes: Vec<HitProcess>,
    /// What was resolved, in words.
    pub notes: Vec<String>,
}

/// One network namespace of a target.
pub struct Space {
    /// The namespace.
    pub netns: Netns,
    /// The interfaces concerned.
    pub links: Vec<Link>,
    /// Whether these are all there are (no `--dev`).
    pub every_link: bool,
}

/// Whose sockets a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Anybody's.
    Any,
    /// Sockets created in this cgroup (v2) or below it.
    Cgroup {
        /// Its id, as `bpf_skb_ancestor_cgroup_id` gives it.
        id: u64,
        /// Its depth below the root.
        level: u32,
        /// Its path, for people.
        path: String,
        /// And of this user only.
        uid: Option<u32>,
    },
    /// This user's sockets.
    User(u32),
    /// Sockets of these processes and their children.
    Pids(Vec<u32>),
}

/// Resolves a target. Looks at the host, touches nothing.
///
/// # Errors
/// When something the target names does not exist or matches nothing.
pub fn resolve(target: &Target, cx: &PlanCx<'_>, force: bool) -> Result<Resolved, PlanError> {
    let mut notes = Vec::new();
    let remotes = addresses("remote", &target.remote, &mut notes)?;
    let except_remotes = addresses("except_remote", &target.except_remote, &mut notes)?;
    let (owner, processes, pids) = owner(target, cx, force, &mut notes)?;
    let namespaces = namespaces(target, &pids)?;
    let several = namespaces.len() > 1;
    let mut spaces = Vec::new();
    let mut missing = None;
    for netns in namespaces {
        match space(target, netns) {
            Ok(space) => spaces.push(space),
            // An interface need not exist in every namespace of a target.
            Err(error) if several => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match (spaces.is_empty(), missing) {
        (true, Some(error)) => Err(error),
        _ => Ok(Resolved { spaces, remotes, except_remotes, owner, processes, notes }),
    }
}

fn addresses(
    field: &str,
    texts: &[String],
    notes: &mut Vec<String>,
) -> Result<Vec<IpNet>, PlanError> {
    let mut out: Vec<IpNet> = Vec::new();
    for text in texts {
        if let Ok(net) = text.parse::<IpNet>() {
            out.push(net.trunc());
            continue;
        }
        if let Ok(addr) = text.parse::<IpAddr>() {
            out.push(addr.into());
            continue;
        }
        let found: Vec<IpAddr> = (text.as_str(), 0)
            .to_socket_addrs()
            .map_err(|e| Invalid::new(field, format!("{text:?} does not resolve: {e}")))?
            .map(|a| a.ip())
            .collect();
        let words: Vec<String> = found.iter().map(ToString::to_string).collect();
        notes.push(format!("{text} is {}", words.join(", ")));
        out.extend(found.into_iter().map(IpNet::from));
    }
    out.sort();
    out.dedup();
    if out.len() > MAX_PREFIXES {
        let message = format!(
            "stands for {} addresses, at most {MAX_PREFIXES} fit; name a CIDR block or inject several faults",
            out.len()
        );
        return Err(Invalid::new(field, message).into());
    }
    Ok(out)
}

type OwnerOf = (Owner, Vec<HitProcess>, Vec<u32>);

fn owner(
    target: &Target,
    cx: &PlanCx<'_>,
    force: bool,
    notes: &mut Vec<String>,
) -> Result<OwnerOf, PlanError> {
    if !target.has_process_part() {
        return Ok((Owner::Any, Vec::new(), Vec::new()));
    }
    let resolved = process::resolve(target, force).map_err(|e| unresolved(&e))?;
    let protection = Protection::new(None, &cx.protected.units, &cx.protected.processes);
    for found in &resolved.processes {
        // Whoever insisted on pid 1 may have it.
        let insisted = force && target.pid.contains(&found.pid);
        if let Some(reason) = protection.reason(found.pid).filter(|_| !insisted) {
            let message =
                format!("the target includes process {} ({}): {reason}", found.pid, found.comm);
            return Err(PlanError::Unsafe(message));
        }
    }
    let uid = resolved.uid;
    let processes: Vec<HitProcess> = resolved.processes.iter().map(HitProcess::from).collect();
    let pids: Vec<u32> = processes.iter().map(|p| p.pid).collect();
    let owner = match resolved.scope {
        ProcessScope::Cgroup { id, level, path } => Owner::Cgroup { id, level, path, uid },
        ProcessScope::User => uid.map_or_else(|| Owner::Pids(pids.clone()), Owner::User),
        ProcessScope::Pids => Owner::Pids(pids.clone()),
    };
    if let Owner::Pids(pids) = &owner {
        let now = if pids.len() == 1 { "1 process" } else { &format!("{} processes", pids.len()) };
        notes.push(format!("{now} now; children that appear are included"));
    }
    Ok((owner, processes, pids))
}

fn namespaces(target: &Target, pids: &[u32]) -> Result<Vec<Netns>, PlanError> {
    let host = |e: NetnsError| PlanError::Host(e.to_string());
    if let Some(name) = &target.netns {
        let netns = Netns::open(name).map_err(|e| Invalid::sentence("netns", e))?;
        return Ok(vec![netns]);
    }
    let current = Netns::current().map_err(host)?;
    if pids.is_empty() {
        return Ok(vec![current]);
    }
    let mut found: Vec<Netns> = Vec::new();
    for pid in pids {
        // A process that ended meanwhile has no sockets to hit either.
        let Ok(netns) = Netns::of_pid(*pid) else { continue };
        if !found.iter().any(|known| known.ino() == netns.ino()) {
            found.push(netns);
        }
    }
    if found.is_empty() {
        found.push(current);
    }
    Ok(found)
}

fn space(target: &Target, netns: Netns) -> Result<Space, PlanError> {
    let all = links::list(&netns).map_err(|e| PlanError::Host(e.to_string()))?;
    if target.dev.is_empty() {
        let links = all.into_iter().filter(|link| link.up && !line::is_own(link)).collect();
        return Ok(Space { netns, links, every_link: true });
    }
    let mut chosen = Vec::new();
    for name in &target.dev {
        let Some(link) = all.iter().find(|link| link.is_named(name)) else {
            let known: Vec<&str> =
                all.iter().filter(|l| !line::is_own(l)).map(|l| l.name.as_str()).collect();
            let message = format!("{name:?} does not exist here; there are {}", known.join(", "));
            return Err(Invalid::new("dev", message).into());
        };
        chosen.push(link.clone());
    }
    Ok(Space { netns, links: chosen, every_link: false })
}
