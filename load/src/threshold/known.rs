//! Whether what an expression names is there: what is not would be told at the end of the run,
//! when it is too late.

use super::{Metric, Threshold, TimeOf};
use crate::{
    plan::{GrpcSchema, Plan, Request, Step},
    words,
};

/// What a run has that expressions can name.
#[derive(Debug)]
pub struct Known<'a> {
    /// What is run.
    pub plan: &'a Plan,
    /// Names of phases, and what they are for.
    pub phases: Vec<&'a str>,
    /// Faults are injected.
    pub has_faults: bool,
    /// How a probe is asked for.
    pub probe: &'static str,
}

impl Threshold {
    /// What it names that is not there.
    #[must_use]
    pub fn misfit(&self, known: &Known<'_>) -> Option<String> {
        self.unknown_name(known).or_else(|| self.unknown_figure(known))
    }

    fn unknown_name(&self, known: &Known<'_>) -> Option<String> {
        let flows: Vec<&str> = known.plan.flows.iter().map(|flow| flow.name.as_str()).collect();
        let steps: Vec<&str> = self.steps(known).map(|step| step.name.as_str()).collect();
        for (what, name, known) in [
            ("phase", &self.scope.phase, &known.phases),
            ("flow", &self.scope.flow, &flows),
            ("step", &self.scope.step, &steps),
        ] {
            let Some(name) = name else { continue };
            if !known.contains(&name.as_str()) {
                let mut unique = known.clone();
                unique.dedup();
                return Some(format!(
                    "there is no {what} {name:?}{}",
                    words::instead(name, &unique)
                ));
            }
        }
        None
    }

    fn unknown_figure(&self, known: &Known<'_>) -> Option<String> {
        let metric = &self.metric;
        let plan = known.plan;
        match metric {
            Metric::Availability | Metric::LongestOutage | Metric::Downtime | Metric::Recovery
                if plan.probe.is_none() =>
            {
                Some(format!("`{metric}` is measured by the probe: say {}", known.probe))
            }
            Metric::LostWrites | Metric::DuplicatedWrites if plan.ledger.is_none() => {
                Some(format!(
                    "`{metric}` is read from the ledger: say `ledger` at the top of a scenario, and in the steps that write"
                ))
            }
            Metric::Recovery if !known.has_faults => {
                Some("`recovery` is that from a fault: there is none".into())
            }
            metric if is_of_streams(metric) && !self.steps(known).any(streams) => Some(format!(
                "`{metric}` is measured of streamed answers, and no step has any: `stream: sse` or `stream: chunks` in its `http`"
            )),
            _ => None,
        }
    }

    /// The steps that it is about, whatever step it names. Pauses are steps without figures.
    fn steps<'a>(&self, known: &Known<'a>) -> impl Iterator<Item = &'a Step> {
        let wanted = self.scope.flow.clone();
        let flows = known.plan.flows.iter();
        flows
            .filter(move |flow| wanted.as_ref().is_none_or(|wanted| *wanted == flow.name))
            .flat_map(|flow| &flow.steps)
            .filter(|step| !matches!(step.request, Request::None))
    }
}

fn is_of_streams(metric: &Metric) -> bool {
    let streamed = |of: &TimeOf| matches!(of, TimeOf::FirstEvent | TimeOf::BetweenEvents);
    match metric {
        Metric::Percentile(of, _) | Metric::Mean(of) | Metric::Min(of) | Metric::Max(of) => {
            streamed(of)
        }
        Metric::TokensPerSecond => true,
        _ => false,
    }
}

/// Whether answers of `step` may come in pieces.
fn streams(step: &Step) -> bool {
    match &step.request {
        Request::Http(request) => request.streaming.is_some(),
        Request::Grpc(request) => match &request.schema {
            GrpcSchema::Known(method) => method.is_server_streaming(),
            // The server says so when the run is prepared.
            GrpcSchema::Reflection(_) => true,
        },
        _ => false,
    }
}
