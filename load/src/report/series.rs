//! The timeline and the histogram as charts need them: columns, of bounded length.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    figures::phase_kind,
    summary::{NANOS_PER_MS, Second, Summary},
};

/// More points than this no screen shows; seconds are then taken together.
const MOST_POINTS: usize = 3600;

/// What the charts of the HTML report are drawn from.
#[derive(Debug, Serialize)]
pub struct Series {
    /// Seconds that one point stands for.
    pub step_s: usize,
    /// Start of each point, in seconds.
    pub t: Vec<f64>,
    /// Latencies in milliseconds: of several seconds the worst.
    pub p50: Vec<Option<f64>>,
    pub p90: Vec<Option<f64>>,
    pub p95: Vec<Option<f64>>,
    pub p99: Vec<Option<f64>>,
    pub max: Vec<Option<f64>>,
    /// A second: mean over the point.
    pub due: Vec<f64>,
    pub ok: Vec<f64>,
    pub failed: Vec<f64>,
    pub skipped: Vec<f64>,
    /// Failed requests a second by kind.
    pub errors: Vec<(String, Vec<f64>)>,
    /// The most of the point.
    pub users: Vec<f64>,
    pub in_flight: Vec<f64>,
    pub connections: Vec<f64>,
    /// Probes not answered, in percent; none were sent where there is nothing.
    pub unavailable: Vec<Option<f64>>,
    /// Processor time of the generator, in percent of one.
    pub cpu: Vec<f64>,
    pub phases: Vec<Shade>,
    pub faults: Vec<Shade>,
    pub histogram: Histogram,
}

/// A stretch of time that is shaded.
#[derive(Debug, Serialize)]
pub struct Shade {
    pub name: String,
    pub kind: &'static str,
    pub from: f64,
    pub to: f64,
}

/// How many requests took how long; each bar is as wide as the others on a logarithmic scale.
#[derive(Debug, Default, Serialize)]
pub struct Histogram {
    /// Lower bounds in milliseconds, and the upper bound of the last bar.
    pub bounds: Vec<f64>,
    pub counts: Vec<u64>,
}

/// The series of a result.
pub fn series(summary: &Summary) -> Series {
    let step = summary.timeline.len().div_ceil(MOST_POINTS).max(1);
    let points: Vec<&[Second]> = summary.timeline.chunks(step).collect();
    let worst = |of: fn(&Second) -> Option<f64>| -> Vec<Option<f64>> {
        points.iter().map(|p| p.iter().filter_map(of).reduce(f64::max)).collect()
    };
    let length = |p: &[Second]| p.iter().map(|s| s.length_s).sum::<f64>().max(1e-9);
    let rate = |of: &dyn Fn(&Second) -> u64| -> Vec<f64> {
        points.iter().map(|p| p.iter().map(of).sum::<u64>() as f64 / length(p)).collect()
    };
    let most = |of: fn(&Second) -> f64| -> Vec<f64> {
        points.iter().map(|p| p.iter().map(of).fold(0.0, f64::max)).collect()
    };
    let kinds: BTreeSet<&String> = summary.timeline.iter().flat_map(|s| s.errors.keys()).collect();
    let errors = kinds
        .into_iter()
        .map(|kind| (kind.clone(), rate(&|s: &Second| s.errors.get(kind).copied().unwrap_or(0))));
    let unavailable = |p: &&[Second]| {
        let failed: u64 = p.iter().map(|s| s.probes_failed).sum();
        let all: u64 = failed + p.iter().map(|s| s.probes_ok).sum::<u64>();
        (all > 0).then(|| failed as f64 * 100.0 / all as f64)
    };
    Series {
        step_s: step,
        t: points.iter().map(|p| f64::from(p[0].t_s)).collect(),
        p50: worst(|s| s.p50_ms),
        p90: worst(|s| s.p90_ms),
        p95: worst(|s| s.p95_ms),
        p99: worst(|s| s.p99_ms),
        max: worst(|s| s.max_ms),
        due: rate(&|s| s.due),
        ok: rate(&|s| s.ok),
        failed: rate(&|s| s.failed),
        skipped: rate(&|s| s.skipped),
        errors: errors.collect(),
        users: most(|s| s.users.into()),
        in_flight: most(|s| s.in_flight as f64),
        connections: most(|s| s.connections as f64),
        unavailable: points.iter().map(unavailable).collect(),
        cpu: most(|s| s.cpu_percent),
        phases: phases(summary),
        faults: faults(summary),
        histogram: histogram(summary),
    }
}

fn phases(summary: &Summary) -> Vec<Shade> {
    let shade = |p: &crate::summary::Phase| Shade {
        name: p.name.clone(),
        kind: phase_kind(p.kind),
        from: p.start_s,
        to: p.end_s,
    };
    // One phase is the run itself.
    if summary.phases.len() < 2 { Vec::new() } else { summary.phases.iter().map(shade).collect() }
}

fn faults(summary: &Summary) -> Vec<Shade> {
    let shade = |f: &crate::summary::FaultRecord| {
        let from = f.start_s?;
        let to = f.end_s.unwrap_or(summary.duration_s);
        Some(Shade {
            name: f.label.clone().unwrap_or_else(|| f.text.clone()),
            kind: "fault",
            from,
            to,
        })
    };
    summary.faults.iter().filter_map(shade).collect()
}

/// Ten bars for each factor of ten.
fn histogram(summary: &Summary) -> Histogram {
    const PER_DECADE: f64 = 10.0;
    let Ok(all) = summary.total.latency.histogram() else { return Histogram::default() };
    if all.is_empty() {
        return Histogram::default();
    }
    let bar = |ms: f64| (ms.max(1e-6).log10() * PER_DECADE).floor() as i32;
    let first = bar(all.min() as f64 / NANOS_PER_MS);
    let last = bar(all.max() as f64 / NANOS_PER_MS);
    let count = usize::try_from(last - first + 1).unwrap_or(1);
    let mut counts = vec![0; count];
    for value in all.iter_recorded() {
        let at = bar(value.value_iterated_to() as f64 / NANOS_PER_MS).clamp(first, last) - first;
        counts[usize::try_from(at).unwrap_or(0)] += value.count_at_value();
    }
    let bound = |at: i32| 10_f64.powf(f64::from(at) / PER_DECADE);
    Histogram { bounds: (first..=last + 1).map(bound).collect(), counts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn all_columns_are_as_long_as_the_time() {
        let series = series(&sample::summary());
        assert_eq!((series.step_s, series.t.len()), (1, 60));
        for length in [
            series.p50.len(),
            series.due.len(),
            series.users.len(),
            series.unavailable.len(),
            series.cpu.len(),
        ] {
            assert_eq!(length, 60);
        }
        assert_eq!((series.errors[0].0.as_str(), series.errors[0].1[21]), ("reset", 50.0));
        assert_eq!((series.phases.len(), series.faults[0].from), (3, 20.004));
    }

    #[test]
    fn the_bars_hold_every_request() {
        let summary = sample::summary();
        let histogram = histogram(&summary);
        assert_eq!(histogram.counts.iter().sum::<u64>(), summary.total.latency.count);
        assert_eq!(histogram.bounds.len(), histogram.counts.len() + 1);
        assert!(histogram.bounds[0] <= summary.total.latency.min_ms.unwrap());
    }

    #[test]
    fn a_long_run_stays_a_small_file() {
        let mut summary = sample::summary();
        let second = summary.timeline[30].clone();
        summary.timeline = (0..86_400).map(|t_s| Second { t_s, ..second.clone() }).collect();
        let series = series(&summary);
        assert_eq!((series.step_s, series.t.len(), series.t[1]), (24, 3600, 24.0));
        assert!((series.due[0] - 100.0).abs() < 1e-9, "a rate is a rate, however long a point");
        assert_eq!(series.p95[0], second.p95_ms);
    }

    #[test]
    fn nothing_measured_draws_nothing() {
        let series = series(&Summary::default());
        assert!(series.t.is_empty() && series.histogram.counts.is_empty());
    }
}
