//! Calls over gRPC against a real server and against one that misbehaves: what is reported has to
//! agree with what the server itself saw.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

mod answers;
mod calls;
mod probe;
mod raw;
mod reflection;
mod shop;
mod tls;

use std::path::{Path, PathBuf};

use faultload::{
    engine::{Run, Silent},
    measure::ErrorKind,
    scenario::{Options, from_yaml},
    summary::{ScenarioInfo, Summary},
    template::Shared,
};

/// The directory of the scenarios that come with the project, with the `cart.proto` of these tests.
fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// A scenario with calls to `address`, in one stage. Each of `steps` is a flow of its own, so that
/// each arrival makes one call, however busy the machine is.
fn scenario(address: &str, defaults: &str, steps: &[&str], stage: &str) -> String {
    let flows = steps.iter().enumerate().map(|(at, step)| {
        let step: String = step.lines().map(|line| format!("      {line}\n")).collect();
        format!("  flow-{at}:\n    steps:\n{step}")
    });
    let flows: String = flows.collect();
    format!(
        "name: test\nseed: 1\nlimits: {{ workers: 2 }}\n\
         grpc: {{ address: \"{address}\", {defaults} }}\nflows:\n{flows}stages:\n  - {stage}\n"
    )
}

/// Runs a scenario and reads out its figures, and what the first failure of each kind said.
fn run(text: &str) -> (Summary, Vec<String>) {
    let scenario = from_yaml("test.yaml", text, &scenarios(), &Options::default());
    let scenario = scenario.unwrap_or_else(|e| panic!("{e}\n{text}"));
    let run = Run::new(scenario.plan, Shared::default()).unwrap();
    let outcome = run.execute(&mut Silent).unwrap();
    let (summary, failures) = outcome.summary(ScenarioInfo::default(), String::new());
    let total = &summary.total;
    assert_eq!(total.due, total.sent + total.skipped, "{total:?}");
    assert_eq!(total.sent, total.ok + total.failed + total.unfinished, "{total:?}");
    assert_eq!(total.errors.values().sum::<u64>(), total.failed, "{total:?}");
    (
        summary,
        failures.into_iter().map(|(_, kind, text)| format!("{}: {text}", kind.name())).collect(),
    )
}

/// How many failed with that kind of error.
fn errors(summary: &Summary, kind: ErrorKind) -> u64 {
    summary.total.errors.get(kind.name()).copied().unwrap_or(0)
}
