//! `pause`: processes stand still, and go on when the fault ends.

mod freeze;
mod stop;

use std::{collections::BTreeSet, sync::Arc};

use faultd_api::{BackendStatus, FaultRequest, Kind, Params, PlanStep, Support, Target};

use super::{aim::Aim, covers};
use crate::{
    engine::plan::{Plan, PlanError, Step},
    fault::{FaultKind, Meets, PlanCx, backend},
    host::{
        cgroup::Freezer,
        probe::{self, Feature},
    },
};
use freeze::{FreezeStep, Freezes};
use stop::{StopStep, Stops};

const FREEZER: &str = "freezer";
const SIGNALS: &str = "signals";

/// The kind `pause`.
#[derive(Default)]
pub struct Pause {
    freezes: Arc<Freezes>,
    stops: Arc<Stops>,
}

impl FaultKind for Pause {
    fn kind(&self) -> Kind {
        Kind::Pause
    }

    fn backends(&self) -> Vec<BackendStatus> {
        let pidfd = probe::status(Feature::Pidfd);
        let detail = match pidfd.support {
            Support::Yes => "SIGSTOP and SIGCONT; parents are told".to_owned(),
            _ => pidfd.detail,
        };
        let signals = BackendStatus { name: SIGNALS.to_owned(), support: pidfd.support, detail };
        vec![probe::status(Feature::Freezer), signals]
    }

    fn plan(&self, request: &FaultRequest, cx: &PlanCx<'_>) -> Result<Plan, PlanError> {
        let mut aim = Aim::at(request, cx)?;
        let hits = aim.hits(cx);
        let rails = std::mem::take(&mut aim.rails);
        let wanted = request.backend.as_deref();
        let (name, reason, freezer) = match freezer(&aim) {
            Ok(freezer) if wanted != Some(SIGNALS) => {
                (FREEZER, "the target is a control group of its own".to_owned(), Some(freezer))
            }
            Ok(_) => (SIGNALS, "it was asked for".to_owned(), None),
            Err(why) => (SIGNALS, why, None),
        };
        backend::insist(request, name, &reason, &[FREEZER, SIGNALS])?;
        backend::available(&self.backends(), name)?;
        let mut notes = Vec::new();
        let step: Box<dyn Step> = match freezer {
            Some(freezer) => {
                if !self.freezes.has(&freezer) && freezer.is_wanted().unwrap_or(false) {
                    let dir = freezer.dir().display();
                    notes.push(format!("{dir} is frozen already, and stays so afterwards"));
                }
                Box::new(FreezeStep::new(Arc::clone(&self.freezes), freezer))
            }
            None => {
                notes
                    .push("processes that come to belong to the target are stopped too".to_owned());
                let processes = std::mem::take(&mut aim.processes);
                Box::new(StopStep::new(Arc::clone(&self.stops), processes, aim.into_crowd()))
            }
        };
        Ok(Plan {
            backend: name.to_owned(),
            backend_reason: reason,
            steps: vec![step],
            hits,
            naming: None,
            rails,
            notes,
        })
    }

    fn meets(&self, _: &Params, target: &Target, query: &Target) -> Option<Meets> {
        Some(Meets { effect: "stands still".to_owned(), covers: covers(target, query)? })
    }
}

/// The freezer that stands for the target, or why there is none.
fn freezer(aim: &Aim) -> Result<Freezer, String> {
    let Some(group) = &aim.group else {
        return Err(
            "the target is not one control group, so processes are stopped one by one".into()
        );
    };
    let members: BTreeSet<u32> = aim.processes.iter().map(|p| p.pid).collect();
    Freezer::of(group, &members, |pid| aim.spares(pid))
        .map_err(|why| format!("{why}, so processes are stopped one by one"))
}

/// A step in words.
fn describe(apply: String, undo: &str) -> PlanStep {
    PlanStep { apply, undo: format!("{undo}, from the undo journal") }
}
