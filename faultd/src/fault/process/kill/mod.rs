//! `kill`: processes get a signal, and it is watched who goes and who comes
//! back.

mod pick;
mod recovery;
mod step;
mod victim;

use faultd_api::{
    BackendStatus, FaultRequest, Invalid, KillParams, Kind, Params, Pick, PlanStep, Target,
};

use super::aim::Aim;
use crate::{
    engine::plan::{Plan, PlanError},
    fault::{FaultKind, Meets, PlanCx, backend},
    host::probe::{self, Feature},
};
use step::KillStep;

const PIDFD: &str = "pidfd";

/// The kind `kill`.
#[derive(Debug, Default)]
pub struct Kill;

impl FaultKind for Kill {
    fn kind(&self) -> Kind {
        Kind::Kill
    }

    fn backends(&self) -> Vec<BackendStatus> {
        vec![probe::status(Feature::Pidfd)]
    }

    fn plan(&self, request: &FaultRequest, cx: &PlanCx<'_>) -> Result<Plan, PlanError> {
        let Params::Kill(params) = &request.params else {
            return Err(PlanError::Host("kill was asked to plan another kind".to_owned()));
        };
        let reason = "signals go through process descriptors";
        backend::insist(request, PIDFD, reason, &[PIDFD])?;
        backend::available(&self.backends(), PIDFD)?;
        let grace = params.grace.filter(|grace| *grace >= request.duration);
        if let Some(grace) = grace {
            let message = format!("must be shorter than --for ({}), got {grace}", request.duration);
            return Err(Invalid::new("grace", message).into());
        }
        let mut aim = Aim::at(request, cx)?;
        let pick = params.pick.unwrap_or_default();
        let matching = aim.processes.len();
        let Some(count) = pick.of(matching) else {
            let message = format!("asks for {pick} processes, {matching} match the target");
            return Err(Invalid::new("pick", message).into());
        };
        let hits = aim.hits(cx);
        let rails = std::mem::take(&mut aim.rails);
        let notes = match pick {
            Pick::All => Vec::new(),
            _ => vec![format!("{count} of {matching} processes, chosen by the seed")],
        };
        let step = KillStep {
            description: describe(params, count),
            signal: params.first_signal(),
            grace: params.grace.map(|grace| grace.get()),
            pick,
            processes: std::mem::take(&mut aim.processes),
            crowd: aim.into_crowd(),
        };
        Ok(Plan {
            backend: PIDFD.to_owned(),
            backend_reason: reason.to_owned(),
            steps: vec![Box::new(step)],
            hits,
            naming: None,
            rails,
            notes,
        })
    }

    /// It acts once, on processes that were there then.
    fn meets(&self, _: &Params, _: &Target, _: &Target) -> Option<Meets> {
        None
    }
}

fn describe(params: &KillParams, count: usize) -> PlanStep {
    let processes = if count == 1 { "process" } else { "processes" };
    let mut apply = format!("send {} to {count} {processes}", params.first_signal());
    if let Some(grace) = params.grace {
        apply += &format!(", and KILL to those that are still there {grace} later");
    }
    let undo = "a signal cannot be taken back; nothing is left behind".to_owned();
    PlanStep { apply, undo }
}
