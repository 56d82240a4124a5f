//! The engine against servers that stall, reset, truncate and lie: what it reports has to agree
//! with what the server itself saw.
//!
//! Machines that run tests are busy: bounds on time are wide, or relative to the server's log.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

mod answers;
mod outage;
mod pacing;
mod server;
mod users;

use std::time::Duration;

use faultload::{
    engine::{Outcome, Run, Silent},
    measure::ErrorKind,
    plan::{
        Arrival, Flow, HttpRequest, Limits, Plan, Request, Scheme, Stage, Step, Target, TlsFiles,
        Transport,
    },
    summary::{ScenarioInfo, Summary},
    template::{Shared, Template},
};

/// A request for `path` of the server at `port`.
fn get(port: u16, path: &str) -> HttpRequest {
    let target = Target { host: "127.0.0.1".into(), port, transport: Transport::Tcp };
    HttpRequest::get(target, Scheme::Http, Template::compile(path).unwrap())
}

/// A plan of one stage and one flow of one step.
fn plan(request: HttpRequest, arrival: Arrival, length: Duration) -> Plan {
    let mut step = Step::new("request", Request::Http(Box::new(request)));
    step.timeout = Duration::from_secs(10);
    let stage = Stage { name: "all".into(), duration: length, arrival, mix: vec![(0, 1.0)] };
    Plan {
        name: "test".into(),
        stages: vec![stage],
        flows: vec![Flow::single(step)],
        setup: Vec::new(),
        teardown: Vec::new(),
        limits: Limits { workers: Some(2), ..Limits::default() },
        probe: None,
        ledger: None,
        tls: TlsFiles::default(),
        seed: 1,
    }
}

fn run(plan: Plan) -> Outcome {
    Run::new(plan, Shared::default()).unwrap().execute(&mut Silent).unwrap()
}

fn summary(outcome: &Outcome) -> Summary {
    let (summary, _) = outcome.summary(ScenarioInfo::default(), String::new());
    let total = &summary.total;
    assert_eq!(total.due, total.sent + total.skipped, "{total:?}");
    assert_eq!(total.sent, total.ok + total.failed + total.unfinished, "{total:?}");
    let timed_out = total.errors.get("timeout").copied().unwrap_or(0);
    assert_eq!(total.latency.count, total.ok + timed_out + total.unfinished, "{total:?}");
    assert_eq!(total.failed_latency.count, total.failed, "{total:?}");
    assert_eq!(total.errors.values().sum::<u64>(), total.failed, "{total:?}");
    let rows = |field: fn(&faultload::summary::Second) -> u64| -> u64 {
        summary.timeline.iter().map(field).sum()
    };
    assert_eq!(rows(|row| row.ok), total.ok, "the timeline adds up");
    assert_eq!(rows(|row| row.failed), total.failed, "the timeline adds up");
    assert_eq!(rows(|row| row.due), total.due, "the timeline adds up");
    summary
}

/// Runs `plan` and reads out its figures.
fn figures(plan: Plan) -> Summary {
    summary(&run(plan))
}

/// How many failed with that kind of error.
fn errors(summary: &Summary, kind: ErrorKind) -> u64 {
    summary.total.errors.get(kind.name()).copied().unwrap_or(0)
}
