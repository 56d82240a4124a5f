//! `latency`: packets are held before they go on.
//!
//! Three backends can hold packets; `pick` says which one and why.

use std::sync::Arc;

use faultd_api::{
    BackendStatus, Direction, FaultRequest, Invalid, Kind, LatencyParams, Params, Support, Target,
};

use super::{
    Net,
    plane::{Action, Hooks, Via},
    qdisc,
    rules::{self, Draft},
    target::{self, Resolved},
};
use crate::{
    engine::plan::{Plan, PlanError},
    fault::{FaultKind, Meets, PlanCx, backend},
    host::{links::Framing, probe},
};

/// fq drops packets stamped further ahead than its horizon (10 s by default,
/// net/sched/sch_fq.c `fq_init`); an fq that is already there keeps that.
const FQ_HORIZON_MS: f64 = 9_000.0;

/// The backends of `latency`, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    Edt,
    DelayLine,
    Netem,
}

impl Backend {
    const ALL: [Self; 3] = [Self::Edt, Self::DelayLine, Self::Netem];

    const fn name(self) -> &'static str {
        match self {
            Self::Edt => "edt",
            Self::DelayLine => "delay-line",
            Self::Netem => "netem",
        }
    }

    fn status(self) -> BackendStatus {
        let probed = match self {
            Self::Edt => probe::qdisc("fq"),
            Self::DelayLine => probe::tun(),
            Self::Netem => probe::qdisc("netem"),
        };
        BackendStatus {
            name: self.name().to_owned(),
            support: probed.support,
            detail: probed.detail,
        }
    }

    fn via(self) -> Via {
        match self {
            Self::Edt => Via::Edt,
            Self::DelayLine => Via::Line,
            // The class is known once the qdisc tree stands.
            Self::Netem => Via::Netem { classid: 0 },
        }
    }
}

/// The kind `latency`.
pub struct Latency {
    net: Arc<Net>,
}

impl Latency {
    /// Over the network family's shared parts.
    pub fn new(net: Arc<Net>) -> Self {
        Self { net }
    }
}

impl FaultKind for Latency {
    fn kind(&self) -> Kind {
        Kind::Latency
    }

    fn backends(&self) -> Vec<BackendStatus> {
        Backend::ALL.iter().map(|backend| backend.status()).collect()
    }

    fn plan(&self, request: &FaultRequest, cx: &PlanCx<'_>) -> Result<Plan, PlanError> {
        let Params::Latency(params) = &request.params else {
            return Err(PlanError::Host("latency was asked to plan another kind".to_owned()));
        };
        let target = &request.target;
        let direction = target.direction.unwrap_or(Direction::Egress);
        if target.has_process_part() && direction != Direction::Egress {
            return Err(PlanError::Unsupported(
                "packets on their way to a process cannot be held: their owner is known only \
                 after the last queue; use --direction egress, or name ports or addresses"
                    .to_owned(),
            ));
        }
        let resolved = target::resolve(target, cx, request.force)?;
        let (backend, reason) = pick(request, params, &resolved, direction)?;
        let action = Action::Delay(params.clone(), backend.via());
        let notes = notes(request, params, &resolved, direction, backend);
        let hooks = Hooks::classifier(direction);
        let draft = Draft { net: &self.net, request, cx, resolved: &resolved, hooks, action };
        draft.plan(backend.name(), reason, true, notes)
    }

    fn meets(&self, params: &Params, target: &Target, query: &Target) -> Option<Meets> {
        let Params::Latency(params) = params else { return None };
        let covers = rules::covers(target, query, Direction::Egress)?;
        let jitter = match params.jitter_ms {
            0.0 => String::new(),
            ms => format!(" ± {ms} ms"),
        };
        Some(Meets { effect: format!("holds packets for {} ms{jitter}", params.ms), covers })
    }
}

/// Picks a backend, or checks the one insisted on.
fn pick(
    request: &FaultRequest,
    params: &LatencyParams,
    resolved: &Resolved,
    direction: Direction,
) -> Result<(Backend, String), PlanError> {
    if let Some(name) = request.backend.as_deref() {
        let Some(backend) = Backend::ALL.into_iter().find(|b| b.name() == name) else {
            let message = format!("{name:?} is not one of edt, delay-line, netem");
            return Err(Invalid::new("backend", message).into());
        };
        backend::available(&[backend.status()], name)?;
        fits(backend, params, resolved, direction, request.force)
            .map_err(PlanError::Unsupported)?;
        return Ok((backend, "asked for".to_owned()));
    }
    let links = || resolved.spaces.iter().flat_map(|space| &space.links);
    let all_fq = links().count() > 0 && links().all(|link| link.root_qdisc == "fq");
    if all_fq
        && fits(Backend::Edt, params, resolved, direction, false).is_ok()
        && Backend::Edt.status().support == Support::Yes
    {
        return Ok((Backend::Edt, "every interface of the target already has fq".to_owned()));
    }
    let line = Backend::DelayLine.status();
    backend::available(std::slice::from_ref(&line), &line.name)?;
    fits(Backend::DelayLine, params, resolved, direction, false).map_err(PlanError::Unsupported)?;
    Ok((Backend::DelayLine, "it changes no queue and dies with the daemon".to_owned()))
}

/// Whether a backend can serve this target; why not, otherwise.
fn fits(
    backend: Backend,
    params: &LatencyParams,
    resolved: &Resolved,
    direction: Direction,
    force: bool,
) -> Result<(), String> {
    let links = || resolved.spaces.iter().flat_map(|space| &space.links);
    if backend == Backend::DelayLine {
        let l3_only = links().find(|link| {
            direction != Direction::Egress && !link.loopback && link.framing != Framing::Ethernet
        });
        return match l3_only {
            Some(link) => Err(format!(
                "{} carries no Ethernet frames, so packets that arrive there cannot be held; \
                 use --direction egress or name other interfaces with --dev",
                link.name
            )),
            None => Ok(()),
        };
    }
    if direction != Direction::Egress {
        return Err(format!(
            "backend {} holds packets in a queue, and arriving packets pass none; \
             use --backend delay-line",
            backend.name()
        ));
    }
    if backend == Backend::Edt && params.ms + 4.0 * params.jitter_ms > FQ_HORIZON_MS {
        return Err(format!(
            "fq drops packets stamped more than its horizon ahead, so edt serves up to \
             {FQ_HORIZON_MS} ms; use --backend delay-line"
        ));
    }
    for (space, link) in resolved.spaces.iter().flat_map(|s| s.links.iter().map(move |l| (s, l))) {
        let root = link.root_qdisc.as_str();
        let replaceable = root == "noqueue";
        let usable = backend == Backend::Edt && root == "fq";
        if replaceable || usable || force || qdisc::is_ours(&space.netns, link) {
            continue;
        }
        return Err(format!(
            "{} has the root qdisc {}, which backend {} would replace; --force allows it \
             (the default qdisc comes back), --backend delay-line needs no queue",
            link.name,
            root,
            backend.name()
        ));
    }
    Ok(())
}

fn notes(
    request: &FaultRequest,
    params: &LatencyParams,
    resolved: &Resolved,
    direction: Direction,
    backend: Backend,
) -> Vec<String> {
    let mut notes = Vec::new();
    let ms = params.ms;
    let target = &request.target;
    let loopback = resolved.spaces.iter().flat_map(|s| &s.links).any(|link| link.loopback);
    match direction {
        Direction::Both => {
            notes.push(format!("a round trip gains {} ms: {ms} ms each way", 2.0 * ms));
        }
        _ if target.port.is_some() || !loopback => {
            notes.push(format!("a round trip gains {ms} ms; a new TCP connection gains it once for the handshake too"));
        }
        _ => notes.push(format!(
            "a round trip gains {ms} ms, on loopback {} ms where both ends are hit",
            2.0 * ms
        )),
    }
    if params.jitter_ms > 0.0 {
        notes.push("jitter can reorder packets, as netem's does".to_owned());
    }
    if backend == Backend::Edt {
        notes.push(
            "held packets count against TCP's small queues, so a bulk stream slows down more than by \
             the round trip; --backend delay-line does not"
                .to_owned(),
        );
    }
    notes
}
