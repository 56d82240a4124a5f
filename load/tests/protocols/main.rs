//! Steps over TCP, Redis, PostgreSQL and HTTP: against servers that do everything wrong, and
//! against the real ones, whose own counters and logs have to agree with what is reported.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

mod fake;
mod nginx;
mod postgres;
mod probe;
mod programs;
mod real_postgres;
mod real_redis;
mod redis;
mod tcp;

use std::path::Path;

use faultload::{
    engine::{Run, Silent},
    scenario::{Options, from_yaml},
    summary::{ScenarioInfo, Stats, Summary},
    template::Shared,
};

/// What came of a run.
struct Ran {
    summary: Summary,
    /// What the first failure of each kind said.
    failures: Vec<String>,
}

/// Runs a scenario of the given flows (and other keys), 30 times within 300 ms.
fn run(flows: &str) -> Ran {
    run_stages(flows, "[{ for: 300ms, rate: 100/s }]")
}

fn run_stages(flows: &str, stages: &str) -> Ran {
    run_with(flows, stages, "4MiB")
}

/// Keeps bodies up to `body`.
fn run_with(flows: &str, stages: &str, body: &str) -> Ran {
    let limits = format!("{{ workers: 2, grace: 20s, body: {body} }}");
    let text = format!("name: test\nlimits: {limits}\nstages: {stages}\n{flows}\n");
    let scenario = from_yaml("test.yaml", &text, Path::new("."), &Options::default());
    let plan = scenario.unwrap_or_else(|e| panic!("{e}\n{text}")).plan;
    let outcome = Run::new(plan, Shared::default()).unwrap().execute(&mut Silent).unwrap();
    let (summary, failures) = outcome.summary(ScenarioInfo::default(), String::new());
    let total = &summary.total;
    assert_eq!(total.due, total.sent + total.skipped, "{total:?}");
    assert_eq!(total.sent, total.ok + total.failed + total.unfinished, "{total:?}");
    assert_eq!(total.errors.values().sum::<u64>(), total.failed, "{total:?}");
    let failures = failures.into_iter().map(|(_, _, text)| text).collect();
    Ran { summary, failures }
}

impl Ran {
    /// How all requests ended: `ok`, or the kind of failure.
    fn end(&self) -> &str {
        let total = &self.summary.total;
        assert!(total.sent > 0 && total.unfinished == 0, "{total:?}");
        match total.errors.iter().next() {
            None => "ok",
            Some((kind, count)) if *count == total.sent => kind,
            _ => panic!("some so, some so: {:?} {:?}", total.errors, self.failures),
        }
    }

    /// The numbers of a step, by its place in the only flow.
    fn step(&self, at: usize) -> &Stats {
        &self.summary.flows[0].steps[at].stats
    }
}

/// How long an answer may take where that failure is expected: long enough for a busy machine,
/// unless running out of time is what is expected.
fn limit(expected: &str) -> &'static str {
    if expected == "timeout" { "200ms" } else { "15s" }
}

/// A flow of one step, written on one line.
fn flow(step: &str) -> String {
    format!("flows: {{ f: {{ steps: [{step}] }} }}")
}
