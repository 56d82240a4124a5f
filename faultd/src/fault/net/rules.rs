//! From a request to a plan: what every network fault does the same way.

use std::sync::Arc;

use faultd_api::{BackendStatus, Direction, FaultRequest, Kind, PlanStep, PortSet, Target};

use super::{
    Net, explain, hits,
    plane::{Action, Flow, Hooks, RuleSpec, Scope},
    step::RuleStep,
    target::{self, Owner, Resolved, Space},
};
use crate::{
    engine::plan::{Plan, PlanError, Rail, Step},
    fault::{PlanCx, backend},
    host::{probe, process, ssh},
};

/// What makes one kind's rules different from another's.
pub struct Shape {
    /// What happens to a packet that matches.
    pub action: Action,
    /// Which way, when the target does not say.
    pub default_direction: Direction,
}

/// Backend of rules on interfaces.
const TC: &str = "tc";
/// Backend of rules on the owners of sockets.
const CGROUP: &str = "cgroup";

/// The backends of kinds that drop packets.
pub fn drop_backends() -> Vec<BackendStatus> {
    let tc = probe::classifier();
    let cgroup = probe::cgroup_skb();
    vec![
        BackendStatus { name: TC.to_owned(), support: tc.support, detail: tc.detail },
        BackendStatus { name: CGROUP.to_owned(), support: cgroup.support, detail: cgroup.detail },
    ]
}

/// Plans a kind that drops packets.
///
/// # Errors
/// See [`crate::fault::FaultKind::plan`].
pub fn plan_drop(
    net: &Arc<Net>,
    request: &FaultRequest,
    cx: &PlanCx<'_>,
    shape: Shape,
) -> Result<Plan, PlanError> {
    let scoped = request.target.has_process_part();
    let (name, reason) = match scoped {
        true => (CGROUP, "the target names processes, so packets are told by their sockets"),
        false => (TC, "the target names traffic, which the interface hooks see"),
    };
    backend::insist(request, name, reason, &[TC, CGROUP])?;
    backend::available(&drop_backends(), name)?;
    let direction = request.target.direction.unwrap_or(shape.default_direction);
    let resolved = target::resolve(&request.target, cx, request.force)?;
    let hooks = match scoped {
        true => Hooks::owned(direction),
        false => Hooks::classifier(direction),
    };
    let draft = Draft { net, request, cx, resolved: &resolved, hooks, action: shape.action };
    draft.plan(name, reason.to_owned(), false, Vec::new())
}

/// What `explain` says of the overlap; processes of the query are looked up.
pub fn covers(target: &Target, query: &Target, default: Direction) -> Option<String> {
    explain::covers(target, query, default, || {
        let ours = process::resolve(target, true).ok()?;
        let asked = process::resolve(query, true).ok()?;
        let all = |p: &u32| ours.processes.iter().any(|o| o.pid == *p);
        let pids: Vec<u32> = asked.processes.iter().map(|p| p.pid).collect();
        match pids.iter().filter(|p| all(p)).count() {
            0 => Some(false),
            n if n == pids.len() => Some(true),
            _ => None,
        }
    })
}

/// Everything that a plan is made from.
pub struct Draft<'a> {
    /// The family's shared parts.
    pub net: &'a Arc<Net>,
    /// What was asked for.
    pub request: &'a FaultRequest,
    /// Who asks and what is protected.
    pub cx: &'a PlanCx<'a>,
    /// The target on this host.
    pub resolved: &'a Resolved,
    /// Where the rules sit.
    pub hooks: Hooks,
    /// What they do.
    pub action: Action,
}

impl Draft<'_> {
    /// The plan: one step a namespace.
    ///
    /// # Errors
    /// When a rail stands in the way or the host cannot be read.
    pub fn plan(
        self,
        backend: &str,
        backend_reason: String,
        lo_from_port: bool,
        mut notes: Vec<String>,
    ) -> Result<Plan, PlanError> {
        let except_port = self.except_ports()?;
        let mut rails = Vec::new();
        let exempt = self.exempt(&mut rails);
        if !self.cx.protected.ports.is_empty() {
            let words = format!("the policy protects ports {}", join(&self.cx.protected.ports));
            rails.push(self.rail(words));
        }
        let mut steps: Vec<Box<dyn Step>> = Vec::new();
        let mut live = Vec::new();
        for (i, space) in self.resolved.spaces.iter().enumerate() {
            // The hook at sockets sees those of every namespace.
            let hooks = if i == 0 { self.hooks } else { self.hooks.on_interfaces() };
            let mut spec = self.spec(space, except_port.clone(), lo_from_port);
            spec.hooks = hooks;
            let asked = hits::Asked {
                target: &self.request.target,
                resolved: self.resolved,
                except_port: except_port.as_ref(),
                exempt: &exempt,
            };
            live.extend(hits::sockets(space, &asked).map_err(PlanError::Host)?);
            if hooks.is_empty() {
                continue;
            }
            steps.push(Box::new(RuleStep {
                net: Arc::clone(self.net),
                netns: space.netns.clone(),
                description: self.describe(space, hooks, backend),
                links: space.links.clone(),
                spec,
                exempt: exempt.clone(),
            }));
        }
        let (hits, naming) = hits::report(live, self.resolved, self.cx);
        notes.splice(0..0, self.resolved.notes.iter().cloned());
        Ok(Plan {
            backend: backend.to_owned(),
            backend_reason,
            steps,
            hits,
            naming: Some(naming),
            rails,
            notes,
        })
    }

    fn spec(&self, space: &Space, except_port: Option<PortSet>, lo_from_port: bool) -> RuleSpec {
        let target = &self.request.target;
        let ifindexes = match space.every_link {
            true => Vec::new(),
            false => space.links.iter().map(|link| link.ifindex).collect(),
        };
        let (scope, uid) = match &self.resolved.owner {
            Owner::Any => (Scope::Any, None),
            Owner::Cgroup { id, level, uid, .. } => {
                (Scope::Cgroup { id: *id, level: *level }, *uid)
            }
            Owner::User(uid) => (Scope::Uid(*uid), None),
            Owner::Pids(pids) => (Scope::Pids(pids.clone()), None),
        };
        RuleSpec {
            hooks: self.hooks,
            ifindexes,
            proto: target.proto,
            port: target.port.clone(),
            local_port: target.local_port.clone(),
            remote_port: target.remote_port.clone(),
            except_port,
            remotes: self.resolved.remotes.clone(),
            except_remotes: self.resolved.except_remotes.clone(),
            scope,
            uid,
            // The engine knows these once the fault is accepted.
            expires_boot_ns: 0,
            seed: 0,
            force: self.request.force,
            lo_from_port: lo_from_port && target.port.is_some(),
            action: self.action.clone(),
        }
    }

    /// The ports left alone: the target's own and the policy's.
    fn except_ports(&self) -> Result<Option<PortSet>, PlanError> {
        let target = &self.request.target;
        let protected = &self.cx.protected.ports;
        if protected.is_empty() {
            return Ok(target.except_port.clone());
        }
        let spared = |port: u16| target.except_port.as_ref().is_some_and(|set| set.contains(port));
        for set in [&target.port, &target.local_port, &target.remote_port].into_iter().flatten() {
            let hit = protected.iter().find(|port| set.contains(**port) && !spared(**port));
            if let Some(port) = hit {
                return Err(PlanError::Unsafe(format!(
                    "the policy protects port {port}; leave it out, or add --except-port {port}"
                )));
            }
        }
        let mut text = join(protected);
        if let Some(own) = &target.except_port {
            text = format!("{text},{own}");
        }
        Ok(Some(text.parse()?))
    }

    /// The flows of the session that gave the command.
    fn exempt(&self, rails: &mut Vec<Rail>) -> Vec<Flow> {
        if self.request.force {
            rails.push(Rail::telling("--force: no rail applies, ARP alone is never touched"));
            return Vec::new();
        }
        rails.push(self.rail("ARP, neighbour discovery and DHCP are left alone"));
        let sessions = ssh::sessions(self.cx.caller.pid, self.cx.caller.ssh_connection.as_deref());
        sessions
            .into_iter()
            .map(|flow| {
                let (local, remote) = (flow.local, flow.remote);
                let words = format!("the SSH session {local} - {remote} is left alone");
                rails.push(Rail::telling(words));
                Flow { local: flow.local, remote: flow.remote }
            })
            .collect()
    }

    /// A rail that is worth telling where whole hosts or interfaces are hit, of
    /// which one would expect that nothing is left alone.
    fn rail(&self, words: impl Into<String>) -> Rail {
        let target = &self.request.target;
        let ports = [&target.port, &target.local_port, &target.remote_port];
        let narrowed = ports.into_iter().any(Option::is_some)
            || target.proto.is_some()
            || target.has_process_part();
        if !narrowed && (target.remote.is_empty() || self.request.kind() == Kind::Partition) {
            return Rail::telling(words);
        }
        Rail::standing(words)
    }

    fn describe(&self, space: &Space, hooks: Hooks, backend: &str) -> PlanStep {
        let mut places = Vec::new();
        if !hooks.on_interfaces().is_empty() {
            let names: Vec<&str> = space.links.iter().map(|l| l.name.as_str()).collect();
            places.push(format!("on {}", names.join(", ")));
        }
        if hooks.at_sockets() {
            places.push("where packets arrive at sockets".to_owned());
        }
        let place = places.join(" and ");
        let whose = match &self.resolved.owner {
            Owner::Any => String::new(),
            Owner::Cgroup { path, .. } => format!(" of cgroup {path}"),
            Owner::User(uid) => format!(" of uid {uid}"),
            Owner::Pids(pids) if pids.len() == 1 => " of 1 process and its children".to_owned(),
            Owner::Pids(pids) => format!(" of {} processes and their children", pids.len()),
        };
        let kind = self.request.kind();
        let netns = match space.netns.is_current() {
            true => String::new(),
            false => format!(" in namespace {}", space.netns.hint().display()),
        };
        PlanStep {
            apply: format!(
                "{kind} rule ({backend}) {place}{netns}, for packets{whose}: {}",
                self.request.target
            ),
            undo: self.undo_words(space, backend),
        }
    }

    fn undo_words(&self, space: &Space, backend: &str) -> String {
        match backend {
            "edt" | "netem" => {
                "root qdiscs that were added are journalled and deleted".to_owned()
            }
            "delay-line" if space.links.iter().any(|link| link.loopback) => {
                "by the kernel: programs and TAP end with the daemon; journalled: net.ipv4.conf.lo.route_localnet and accept_local".to_owned()
            }
            _ => "by the kernel: the rule ends at its deadline, programs with the daemon".to_owned(),
        }
    }
}

fn join(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}
