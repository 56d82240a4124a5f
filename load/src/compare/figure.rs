//! What is compared.

use super::{Change, Line, Unit};
use crate::summary::{Latency, Second, Summary};

/// A figure that both results have.
pub struct Figure {
    pub name: &'static str,
    pub unit: Unit,
    /// Whether more is worse.
    pub more_is_worse: bool,
    /// Changes below this much are not worth a word, whatever they are in percent.
    pub least: f64,
    pub of_run: fn(&Summary) -> Option<f64>,
    pub of_second: fn(&Second) -> Option<f64>,
}

/// A hundredth of a millisecond is within what clocks and schedulers do.
const LEAST_MS: f64 = 0.05;
/// One failure in a thousand.
const LEAST_RATIO: f64 = 0.001;

const fn time(
    name: &'static str,
    of_run: fn(&Summary) -> Option<f64>,
    of_second: fn(&Second) -> Option<f64>,
) -> Figure {
    Figure { name, unit: Unit::Ms, more_is_worse: true, least: LEAST_MS, of_run, of_second }
}

/// The figures of the whole run. Of the worst single request nothing is said: it is noise.
pub const FIGURES: [Figure; 7] = [
    Figure {
        name: "rate",
        unit: Unit::Rate,
        more_is_worse: false,
        least: 0.0,
        of_run: |s| (s.total.due > 0).then_some(s.total.rate),
        // The last second is shorter than the others and says little.
        of_second: |s| (s.length_s > 0.5).then(|| s.ok as f64 / s.length_s),
    },
    Figure {
        name: "errors",
        unit: Unit::Ratio,
        more_is_worse: true,
        least: LEAST_RATIO,
        of_run: |s| s.total.error_ratio,
        of_second: |s| {
            let all = s.ok + s.failed;
            (all > 0).then(|| s.failed as f64 / all as f64)
        },
    },
    time("mean", |s| s.total.latency.mean_ms, |s| s.mean_ms),
    time("p50", |s| s.total.latency.p50_ms, |s| s.p50_ms),
    time("p90", |s| s.total.latency.p90_ms, |s| s.p90_ms),
    time("p95", |s| s.total.latency.p95_ms, |s| s.p95_ms),
    time("p99", |s| s.total.latency.p99_ms, |s| s.p99_ms),
];

/// The mean; `None` of nothing.
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(n, sum), v| (n + 1, sum + v));
    (count > 0).then(|| sum / f64::from(count))
}

/// p95 of every step that both have. Steps have no timeline: noise is what the runs differ by, or,
/// where there are too few of them, what the samples of the step leave open.
pub fn of_steps(baseline: &[Summary], current: &[Summary], threshold: f64) -> Vec<Line> {
    let figure = time("step", |_| None, |_| None);
    let Some(first) = baseline.first() else { return Vec::new() };
    let names = first.flows.iter().flat_map(|f| f.steps.iter().map(move |s| (&f.name, &s.name)));
    names
        .map(|(flow, step)| {
            let (before, after) = (latencies(baseline, flow, step), latencies(current, flow, step));
            let p95 = |of: &[&Latency]| of.iter().filter_map(|l| l.p95_ms).collect::<Vec<_>>();
            let (old, new) = (p95(&before), p95(&after));
            let difference = match old.len().min(new.len()) >= super::ENOUGH_RUNS {
                true => super::interval(
                    &super::Samples::alone(old.clone()),
                    &super::Samples::alone(new.clone()),
                    0,
                ),
                false => super::quantile::interval(before.into_iter(), after.into_iter(), 0.95),
            };
            let (old, new) = (mean(old.into_iter()), mean(new.into_iter()));
            judged(format!("{flow} / {step} p95"), &figure, old, new, difference, threshold)
        })
        .collect()
}

/// The times of a step, in each run that has it.
fn latencies<'a>(runs: &'a [Summary], flow: &str, step: &str) -> Vec<&'a Latency> {
    let of_run = |run: &'a Summary| {
        let flow = run.flows.iter().find(|f| f.name == flow)?;
        Some(&flow.steps.iter().find(|s| s.name == step)?.stats.latency)
    };
    runs.iter().filter_map(of_run).collect()
}

/// What a change means.
pub fn judged(
    name: String,
    figure: &Figure,
    baseline: Option<f64>,
    current: Option<f64>,
    difference: Option<(f64, f64)>,
    threshold: f64,
) -> Line {
    let mut line = Line {
        name,
        unit: figure.unit,
        baseline,
        current,
        change_percent: None,
        difference,
        change: Change::Missing,
    };
    let (Some(old), Some(new)) = (baseline, current) else { return line };
    let moved = new - old;
    line.change_percent = (old > 0.0).then(|| moved * 100.0 / old);
    // From nothing to something is more than any percentage.
    let percent = line.change_percent.map_or(f64::INFINITY, f64::abs);
    line.change = if moved.abs() <= figure.least || percent <= threshold {
        Change::Same
    } else if !difference
        .is_some_and(|(low, high)| (low > 0.0 && moved > 0.0) || (high < 0.0 && moved < 0.0))
    {
        Change::Noise
    } else if (moved > 0.0) == figure.more_is_worse {
        Change::Worse
    } else {
        Change::Better
    };
    line
}
