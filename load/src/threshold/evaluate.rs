//! What the numbers say to an expression.

use super::{Metric, Threshold, TimeOf, Unit};
use crate::{
    figures,
    summary::{Flow, Latency, Phase, Stats, Summary, ThresholdResult},
};

/// One figure, or why there is none.
type Figure = Result<f64, String>;

impl Threshold {
    /// Whether it holds for a result.
    #[must_use]
    pub fn evaluate(&self, summary: &Summary) -> ThresholdResult {
        let (measured, text) = match self.measure(summary) {
            Ok(value) => {
                (Some(value), format!("{} is {}", self.subject(), shown(&self.metric, value)))
            }
            Err(why) => (None, why),
        };
        let passed = measured.is_some_and(|value| self.comparison.holds(value, self.bound));
        ThresholdResult {
            expression: self.expression.clone(),
            passed,
            measured,
            text,
            aborted: false,
        }
    }

    fn subject(&self) -> String {
        let scope = self.scope.to_string();
        if scope.is_empty() { self.metric.to_string() } else { format!("{scope}.{}", self.metric) }
    }

    /// The figure; of several phases the one that is furthest from holding.
    fn measure(&self, summary: &Summary) -> Figure {
        let Some(phase) = &self.scope.phase else {
            return match &self.metric {
                Metric::Checks => self.checks(summary),
                metric if is_of_run(metric) => of_run(metric, summary),
                metric => of_stats(metric, self.stats(&summary.total, &summary.flows)?),
            };
        };
        let of_phase = |phase: &Phase| match &self.metric {
            Metric::Availability => phase.availability_ratio.ok_or_else(|| no("probes")),
            Metric::LongestOutage => {
                phase.longest_outage_s.map(|s| s * 1000.0).ok_or_else(|| no("probes"))
            }
            metric => of_stats(metric, self.stats(&phase.total, &phase.flows)?),
        };
        let figures: Vec<Figure> = phases(summary, phase).into_iter().map(of_phase).collect();
        let mut worst = None;
        for figure in figures {
            let figure = figure?;
            worst = match worst {
                Some(worst)
                    if !self.comparison.is_worse(figure, worst)
                        && self.comparison.holds(figure, self.bound) =>
                {
                    Some(worst)
                }
                _ => Some(figure),
            };
        }
        worst.ok_or_else(|| format!("no samples: the run had no phase {phase:?}"))
    }

    /// The requests that it is about.
    fn stats<'a>(&self, total: &'a Stats, flows: &'a [Flow]) -> Result<&'a Stats, String> {
        let mut wanted =
            flows.iter().filter(|f| self.scope.flow.as_ref().is_none_or(|w| *w == f.name));
        match (&self.scope.flow, &self.scope.step) {
            (None, None) => Ok(total),
            (Some(flow), None) => {
                wanted.next().map(|f| &f.total).ok_or_else(|| no(&format!("flow {flow:?}")))
            }
            (_, Some(step)) => wanted
                .flat_map(|f| &f.steps)
                .find(|s| s.name == *step)
                .map(|s| &s.stats)
                .ok_or_else(|| no(&format!("step {step:?}"))),
        }
    }

    fn checks(&self, summary: &Summary) -> Figure {
        let of = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|w| w == name);
        let wanted = summary
            .checks
            .iter()
            .filter(|c| of(&self.scope.flow, &c.flow) && of(&self.scope.step, &c.step));
        let (passed, failed) = wanted.fold((0, 0), |(p, f), c| (p + c.passed, f + c.failed));
        ratio(passed, passed + failed, "checks")
    }
}

fn no(what: &str) -> String {
    format!("no samples: {what}")
}

fn ratio(part: u64, all: u64, what: &str) -> Figure {
    if all == 0 { Err(no(what)) } else { Ok(part as f64 / all as f64) }
}

/// The phases of that name, else those that are for that.
fn phases<'a>(summary: &'a Summary, name: &str) -> Vec<&'a Phase> {
    let named: Vec<&Phase> = summary.phases.iter().filter(|p| p.name == name).collect();
    if !named.is_empty() {
        return named;
    }
    let kind = |p: &&Phase| figures::phase_kind(p.kind) == name;
    summary.phases.iter().filter(kind).collect()
}

fn is_of_run(metric: &Metric) -> bool {
    matches!(
        metric,
        Metric::Availability
            | Metric::LongestOutage
            | Metric::Downtime
            | Metric::Recovery
            | Metric::LostWrites
            | Metric::DuplicatedWrites
    )
}

fn of_run(metric: &Metric, summary: &Summary) -> Figure {
    // A new client and a connected one: the service is there when it is there for both.
    let streams =
        || summary.probes.iter().flat_map(|p| [&p.fresh, &p.pooled]).filter(|s| s.sent > 0);
    let longest = |figures: Vec<f64>| {
        figures.into_iter().reduce(f64::max).map(|s| s * 1000.0).ok_or_else(|| no("probes"))
    };
    let ledger = summary.ledger.as_ref().ok_or_else(|| no("no ledger was kept"));
    let ledger = ledger.and_then(|ledger| match ledger.acknowledged {
        0 => Err(no("no write was acknowledged")),
        _ => Ok(ledger),
    });
    match metric {
        Metric::Availability => streams()
            .filter_map(|s| s.availability_ratio)
            .reduce(f64::min)
            .ok_or_else(|| no("probes")),
        Metric::LongestOutage => longest(streams().map(|s| s.longest_outage_s).collect()),
        Metric::Downtime => longest(streams().map(|s| s.downtime_s).collect()),
        Metric::Recovery => recovery(summary),
        Metric::LostWrites => {
            let ledger = ledger?;
            // What could not be read back was not shown to be there.
            Ok((ledger.lost + ledger.unread) as f64)
        }
        _ => Ok(ledger?.duplicated as f64),
    }
}

fn recovery(summary: &Summary) -> Figure {
    let injected: Vec<_> = summary.faults.iter().filter(|f| f.start_s.is_some()).collect();
    if injected.is_empty() {
        return Err(no("no fault was injected"));
    }
    if summary.probes.is_empty() {
        return Err(no("recovery needs a probe"));
    }
    let mut longest: f64 = 0.0;
    for fault in injected {
        match fault.recovery_s {
            Some(seconds) => longest = longest.max(seconds * 1000.0),
            None => return Err(format!("not recovered after {}", fault.text)),
        }
    }
    Ok(longest)
}

fn of_stats(metric: &Metric, stats: &Stats) -> Figure {
    let empty = Latency::default();
    let time = |of: &TimeOf| match of {
        TimeOf::Latency => &stats.latency,
        TimeOf::Service => &stats.service_time,
        TimeOf::FirstByte => &stats.first_byte,
        TimeOf::FirstEvent => stats.stream.as_ref().map_or(&empty, |s| &s.first_event),
        TimeOf::BetweenEvents => stats.stream.as_ref().map_or(&empty, |s| &s.between_events),
    };
    let some = |figure: Option<f64>| figure.ok_or_else(|| no("nothing was measured"));
    let finished = stats.finished();
    match metric {
        Metric::Percentile(of, percent) => {
            let figure =
                time(of).percentile_ms(*percent).map_err(|e| format!("no samples: {e}"))?;
            some(figure)
        }
        Metric::Mean(of) => some(time(of).mean_ms),
        Metric::Min(of) => some(time(of).min_ms),
        Metric::Max(of) => some(time(of).max_ms),
        Metric::ErrorRatio => ratio(stats.failed, finished, "nothing was finished"),
        Metric::SuccessRatio => ratio(stats.ok, finished, "nothing was finished"),
        // Nothing sent at all is no rate of zero: nothing was asked.
        Metric::Rate if stats.due > 0 => Ok(stats.rate),
        Metric::Requests => Ok(stats.sent as f64),
        Metric::Failed if stats.due > 0 => Ok(stats.failed as f64),
        Metric::Errors(kind) if stats.due > 0 => {
            let counts = [&stats.errors, &stats.local_errors];
            Ok(counts.iter().filter_map(|c| c.get(kind)).sum::<u64>() as f64)
        }
        Metric::Late if stats.due > 0 => Ok(stats.late as f64),
        Metric::Skipped if stats.due > 0 => Ok(stats.skipped as f64),
        Metric::SkippedRatio => ratio(stats.skipped, stats.due, "nothing was due"),
        Metric::TokensPerSecond => some(stats.stream.as_ref().and_then(|s| s.tokens_per_s)),
        _ => Err(no("nothing was sent")),
    }
}

/// A figure for people.
fn shown(metric: &Metric, value: f64) -> String {
    match metric.unit() {
        Unit::Time => figures::ms(value),
        Unit::Ratio => figures::percent(value),
        Unit::Rate => format!("{}/s", figures::number(value)),
        Unit::Count => figures::number(value),
    }
}
