//! From what was recorded to the figures of the summary.

use std::collections::BTreeMap;

use super::{ErrorKind, PhaseData, PhaseMark, StepData, StreamData};
use crate::{
    plan::Plan,
    protocol::grpc::status,
    summary::{
        CheckResult, Connections, Flow, Latency, NANOS_PER_MS, Phase, Stats, Step, Stream, example,
    },
};

/// Figures of the whole run and of each phase.
#[derive(Debug, Clone, Default)]
pub struct PhaseSummary {
    /// All phases together.
    pub total: Stats,
    /// The same, a flow at a time.
    pub flows: Vec<Flow>,
    /// A phase at a time.
    pub phases: Vec<Phase>,
    /// All checks.
    pub checks: Vec<CheckResult>,
    /// What the first failure of each kind said, by step.
    pub failures: Vec<(String, ErrorKind, String)>,
}

/// Reads out what was recorded for `plan` in the phases that `marks` begin. Nothing was begun any
/// more after `load_end`, and all was over at `end` (nanoseconds since the start of the run).
#[must_use]
pub fn summarize(
    plan: &Plan,
    marks: &[PhaseMark],
    data: &[PhaseData],
    load_end: u64,
    end: u64,
) -> PhaseSummary {
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let mut all: Option<PhaseData> = None;
    let mut phases = Vec::new();
    for (at, (mark, data)) in marks.iter().zip(data).enumerate() {
        let next = marks.get(at + 1).map_or(end, |next| next.start);
        // A fault may be taken back after the load: what follows is no phase of it.
        if at == 0 || mark.start < load_end {
            let start = mark.start.min(end);
            let until = next.clamp(start, end.max(start));
            let load = until.min(load_end).saturating_sub(start);
            let (total, flows) = figures(plan, data, seconds(load));
            phases.push(Phase {
                name: mark.name.clone(),
                kind: mark.kind,
                start_s: seconds(start),
                end_s: seconds(until),
                total,
                flows,
                ..Phase::default()
            });
        }
        match &mut all {
            None => all = Some(data.clone()),
            Some(all) => all.add(data),
        }
    }
    let all = all.unwrap_or_default();
    let (total, mut flows) = figures(plan, &all, seconds(load_end));
    let steps = flows.iter_mut().flat_map(|flow| &mut flow.steps);
    for (step, data) in steps.zip(&all.steps) {
        let said = data.samples.iter();
        let said = said.map(|(kind, text)| (kind.name().to_owned(), example(text)));
        step.stats.error_examples = said.collect();
    }
    let (checks, failures) = (checks(plan, &all), failures(plan, &all));
    PhaseSummary { total, flows, phases, checks, failures }
}

/// The steps of `data`, each with its flow.
fn steps<'a>(
    plan: &'a Plan,
    data: &'a PhaseData,
) -> impl Iterator<Item = (&'a crate::plan::Flow, &'a crate::plan::Step, &'a StepData)> {
    let steps = plan.flows.iter().flat_map(|flow| flow.steps.iter().map(move |step| (flow, step)));
    steps.zip(&data.steps).map(|((flow, step), data)| (flow, step, data))
}

fn figures(plan: &Plan, data: &PhaseData, seconds: f64) -> (Stats, Vec<Flow>) {
    let mut total = StepData::new(0);
    let mut rest = data.steps.as_slice();
    let mut flows = Vec::new();
    for (flow, ran) in plan.flows.iter().zip(&data.flows) {
        let (mine, others) = rest.split_at(flow.steps.len().min(rest.len()));
        rest = others;
        let mut sum = StepData::new(0);
        mine.iter().for_each(|step| sum.add(step));
        total.add(&sum);
        let named = flow.steps.iter().zip(mine);
        flows.push(Flow {
            name: flow.name.clone(),
            completed: ran.completed,
            aborted: ran.aborted,
            unfinished: ran.begun.saturating_sub(ran.completed + ran.aborted),
            latency: Latency::of(&ran.latency),
            total: stats(&sum, seconds),
            steps: named
                .map(|(step, data)| Step { name: step.name.clone(), stats: stats(data, seconds) })
                .collect(),
        });
    }
    (stats(&total, seconds), flows)
}

fn stats(data: &StepData, seconds: f64) -> Stats {
    let by_kind = |local: bool| -> BTreeMap<String, u64> {
        ErrorKind::ALL
            .into_iter()
            .filter(|kind| data.errors[*kind as usize] > 0 && (!local || kind.is_local()))
            .map(|kind| (kind.name().to_owned(), data.errors[kind as usize]))
            .collect()
    };
    let mut stats = Stats {
        due: data.sent + data.skipped,
        sent: data.sent,
        ok: data.ok,
        failed: data.failed,
        unfinished: data.sent - data.ok - data.failed,
        late: data.late,
        skipped: data.skipped,
        retries: data.retries,
        duration_s: seconds,
        rate: 0.0,
        error_ratio: None,
        errors: by_kind(false),
        error_examples: BTreeMap::new(),
        local_errors: by_kind(true),
        statuses: data
            .statuses
            .iter()
            .map(|(&status, &n)| (status::text(status).into_owned(), n))
            .collect(),
        sent_bytes: data.sent_bytes,
        received_bytes: data.received_bytes,
        connections: Connections { opened: data.opened, failed: data.refused, reused: data.reused },
        latency: Latency::of(&data.latency),
        failed_latency: Latency::of(&data.failed_latency),
        service_time: Latency::of(&data.service),
        first_byte: Latency::of(&data.first_byte),
        stream: data.stream.as_deref().map(stream),
    };
    stats.settle();
    stats
}

fn stream(data: &StreamData) -> Stream {
    let (sum, answers) = data.rates;
    Stream {
        events: data.events,
        first_event: Latency::of(&data.first),
        between_events: Latency::of(&data.between),
        tokens: data.events,
        tokens_per_s: (answers > 0).then(|| sum / answers as f64),
    }
}

fn checks(plan: &Plan, data: &PhaseData) -> Vec<CheckResult> {
    let each = steps(plan, data).flat_map(|(flow, step, data)| {
        step.checks.iter().zip(&data.checks).map(move |(check, count)| CheckResult {
            flow: flow.name.clone(),
            step: step.name.clone(),
            name: check.name.clone(),
            passed: count.passed,
            failed: count.failed,
            first_failure: count.first_failure.clone(),
        })
    });
    each.collect()
}

fn failures(plan: &Plan, data: &PhaseData) -> Vec<(String, ErrorKind, String)> {
    let each = steps(plan, data).flat_map(|(_, step, data)| {
        data.samples.iter().map(|(&kind, text)| (step.name.clone(), kind, text.clone()))
    });
    each.collect()
}

/// Milliseconds, for messages.
#[must_use]
pub(crate) fn millis(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_MS
}
