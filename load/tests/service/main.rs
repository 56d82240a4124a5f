//! Whole runs against services that remember what they were told: what faultload says of them has
//! to agree with what they know themselves.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

mod cli;
mod ends;
mod grace;
mod ledger;
mod merge;
mod samples;
mod server;
mod store;
mod tls;
mod tokens;

use std::path::Path;

use faultload::{
    engine::{Outcome, Run, Silent},
    scenario::{Options, Scenario, from_yaml},
    summary::{ScenarioInfo, Summary},
    template::Shared,
    threshold::judge,
};

/// A scenario for the server at `port`; `NAME` is its name, `PORT` that port.
fn scenario(port: u16, text: &str) -> Scenario {
    let text = format!("name: test\ntarget: http://127.0.0.1:{port}\nseed: 1\n{text}");
    from_yaml("test.yaml", &text, Path::new("."), &Options::default())
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn run(scenario: &Scenario) -> Outcome {
    let run = Run::new(scenario.plan.clone(), Shared::default()).unwrap();
    run.execute(&mut Silent).unwrap()
}

/// The result with its verdict. Tests run on busy machines: the generator counts as fit.
fn judged(scenario: &Scenario, outcome: &Outcome) -> Summary {
    let (mut summary, _) = outcome.summary(ScenarioInfo::default(), String::new());
    summary.fitness.fit = true;
    summary.fitness.reasons.clear();
    judge(&mut summary, &scenario.thresholds);
    summary
}

/// Runs a scenario and judges it.
fn result(port: u16, text: &str) -> Summary {
    let scenario = scenario(port, text);
    judged(&scenario, &run(&scenario))
}
