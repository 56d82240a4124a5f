//! A scenario as text: `faultload check`.

use std::{fmt::Write, time::Duration};

use faultd_api::Kind;

use super::{FaultPlan, Scenario};
use crate::{
    figures,
    plan::{Arrival, HttpVersion, ProbePlan, ReadBack, Request, Step, Think},
};

/// What a scenario does and when, for people.
#[must_use]
pub fn timeline_text(scenario: &Scenario) -> String {
    let mut out = String::new();
    // Writing into memory cannot fail.
    let _ = write(&mut out, scenario);
    out
}

fn write(out: &mut String, scenario: &Scenario) -> std::fmt::Result {
    let Scenario { plan, info, .. } = scenario;
    writeln!(out, "{}, {} in all", info.name, time(plan.duration()))?;
    if let Some(description) = &info.description {
        writeln!(out, "{}", description.trim())?;
    }
    if !info.targets.is_empty() {
        writeln!(out, "target    {}", info.targets.join(", "))?;
    }
    writeln!(out, "\nstages")?;
    let mut at = Duration::ZERO;
    for stage in &plan.stages {
        let total: f64 = stage.mix.iter().map(|(_, weight)| weight).sum();
        let flows = stage.mix.iter().map(|(index, weight)| {
            let name = plan.flows.get(*index).map_or("?", |f| &f.name);
            if stage.mix.len() == 1 {
                name.to_owned()
            } else {
                format!("{name} {}", figures::percent(weight / total))
            }
        });
        let flows = flows.collect::<Vec<_>>().join(", ");
        let end = at + stage.duration;
        let what = stage.arrival;
        let flows = if stage.arrival == Arrival::Pause { "" } else { &flows };
        writeln!(
            out,
            "  {:>8} – {:<8} {:<12} {what:<24} {flows}",
            time(at),
            time(end),
            stage.name
        )?;
        at = end;
    }
    if !scenario.faults.is_empty() {
        writeln!(out, "\nfaults")?;
        for fault in &scenario.faults {
            let end = fault.start + fault.request.duration.get();
            let label =
                fault.request.label.as_ref().map(|l| format!("  ({l})")).unwrap_or_default();
            let beyond = if end > plan.duration() { "  (ends with the run)" } else { "" };
            writeln!(
                out,
                "  {:>8} – {:<8} {}{label}{beyond}",
                time(fault.start),
                time(end),
                fault.text
            )?;
            if hits_everything(fault) {
                writeln!(
                    out,
                    "  {:>8}   warning: it names no target, and hits all traffic of this host",
                    ""
                )?;
            }
        }
    }
    writeln!(out, "\nphases")?;
    for phase in &scenario.phases {
        let kind = figures::phase_kind(phase.kind);
        let kind = if kind == phase.name { String::new() } else { format!(" ({kind})") };
        writeln!(out, "  {:>8} – {:<8} {}{kind}", time(phase.start), time(phase.end), phase.name)?;
    }
    writeln!(out, "\nflows")?;
    for flow in plan.setup.iter().chain(&plan.flows).chain(&plan.teardown) {
        let think = flow.think.iter().map(|think| format!("[think {}]", range(think)));
        let steps: Vec<String> = flow.steps.iter().map(step).chain(think).collect();
        writeln!(out, "  {}: {}", flow.name, steps.join(" → "))?;
    }
    if let Some(ledger) = &plan.ledger {
        let steps: Vec<String> = ledger.flow().steps.iter().map(step).collect();
        let how = match ledger.read {
            ReadBack::Each { .. } => "each write is read back after the load",
            ReadBack::List { .. } => "all writes are listed after the load",
        };
        writeln!(out, "\nledger    {how}: {}", steps.join(" → "))?;
    }
    if let Some(probe) = &plan.probe {
        writeln!(out, "\nprobe     {}", self::probe(probe))?;
    }
    if !scenario.thresholds.is_empty() {
        writeln!(out, "\nthresholds")?;
        for threshold in &scenario.thresholds {
            let abort = threshold
                .abort_after
                .map(|after| format!("  (ends the run when broken after {})", time(after)))
                .unwrap_or_default();
            writeln!(out, "  {}{abort}", threshold.expression)?;
        }
    }
    Ok(())
}

/// A fault of the network that nothing bounds.
fn hits_everything(fault: &FaultPlan) -> bool {
    let request = &fault.request;
    let of_network = matches!(request.kind(), Kind::Latency | Kind::Loss | Kind::Partition);
    of_network && request.target.options().is_empty()
}

fn step(step: &Step) -> String {
    let times = if step.repeat > 1 { format!(" ×{}", step.repeat) } else { String::new() };
    match step.request {
        Request::None => format!("[{}]", step.name),
        _ => format!("{}{times}", step.name),
    }
}

fn range(think: &Think) -> String {
    let [min, max] = [think.min, think.max].map(humantime::format_duration);
    if think.min == think.max { min.to_string() } else { format!("{min}..{max}") }
}

fn probe(plan: &ProbePlan) -> String {
    let step = &plan.step;
    let what = match &step.request {
        Request::Http(http) if http.version == HttpVersion::Http2 => {
            format!("{} over HTTP/2", step.name)
        }
        Request::Grpc(_) => format!("grpc {}", step.name),
        Request::Postgres(_) => format!("postgres {}", step.name),
        // These say it in their names.
        Request::Http(_) | Request::Tcp(_) | Request::Redis(_) | Request::None => step.name.clone(),
    };
    let every = humantime::format_duration(plan.every);
    let checks: String = step.checks.iter().map(|check| format!(", {}", check.name)).collect();
    format!("{what} every {every}, on a new connection and on a kept one{checks}")
}

fn time(time: Duration) -> String {
    figures::seconds(time.as_secs_f64())
}
