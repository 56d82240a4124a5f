//! Two results beside each other: has it become worse, by more than it wavers?
//!
//! A figure that is worse by more than the threshold is a *regression* only if the difference is
//! larger than the noise. How much the figures waver is estimated by the bootstrap: the values of
//! repeated runs, or else the one-second intervals of one run, are drawn again with replacement,
//! many times, and the difference of the means is taken each time. When the whole of the interval
//! that holds 95 % of these differences is on the worse side, it is no noise. Seconds that follow
//! each other are alike (a queue empties slowly), so they are drawn in blocks. Steps have no
//! seconds: of single runs their histograms say how much they waver ([`quantile`]).

mod bootstrap;
mod figure;
mod quantile;
mod text;
mod warn;

use serde::Serialize;

use crate::summary::{Second, Summary, VerdictKind};
use bootstrap::{Samples, interval};
use figure::FIGURES;
pub(crate) use warn::warnings;

/// Exit code of a comparison that found a regression.
pub const EXIT_REGRESSION: u8 = 98;

/// How a comparison is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Changes below this many percent are not looked at.
    pub threshold_percent: f64,
    /// Seed of the bootstrap: the same results give the same verdict.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { threshold_percent: 10.0, seed: 1 }
    }
}

/// What is said about a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Worse by more than the threshold and by more than noise.
    Worse,
    /// Better by as much.
    Better,
    /// Changed by more than the threshold, and noise may be why.
    Noise,
    /// Changed by less than the threshold.
    Same,
    /// One of the results does not have it.
    Missing,
}

/// A figure in both results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What it is: `p95`, `buy / login p95`.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// In the baseline: the mean over its runs.
    pub baseline: Option<f64>,
    /// In the current result.
    pub current: Option<f64>,
    /// By how many percent it changed; absent where the baseline is zero.
    pub change_percent: Option<f64>,
    /// 95 % of the differences that noise would explain lie between these, in the figure's unit.
    pub difference: Option<(f64, f64)>,
    /// What that means.
    pub change: Change,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Good answers a second.
    Rate,
    /// A share from 0 to 1.
    Ratio,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The figures.
    pub lines: Vec<Line>,
    /// What speaks against comparing these at all, one sentence each.
    pub warnings: Vec<String>,
    /// The threshold in percent.
    pub threshold_percent: f64,
    /// Runs of the baseline and of the current result.
    pub runs: (usize, usize),
}

/// Nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One side has no results.
    #[error("the {0} has no results")]
    Empty(&'static str),
    /// A result is not to be judged.
    #[error("the {side} {name:?} is invalid: its generator was the bottleneck ({reason})")]
    Invalid {
        /// Baseline or current.
        side: &'static str,
        /// The run.
        name: String,
        /// Why.
        reason: String,
    },
    /// The threshold makes no sense.
    #[error("--threshold takes a percentage above 0, such as 10, got {0}")]
    Threshold(f64),
}

impl Comparison {
    /// Whether anything became worse.
    #[must_use]
    pub fn is_regression(&self) -> bool {
        self.lines.iter().any(|line| line.change == Change::Worse)
    }

    /// 0, or 98 after a regression.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.is_regression() { EXIT_REGRESSION } else { 0 }
    }

    /// The comparison as an aligned table and a verdict.
    #[must_use]
    pub fn text(&self) -> String {
        text::text(self)
    }
}

/// Compares the runs of a baseline with those of a current result. With three runs or more on
/// both sides the noise is taken from run to run, else from second to second.
///
/// # Errors
/// If there is nothing to compare, or a run is invalid.
pub fn compare(
    baseline: &[Summary],
    current: &[Summary],
    options: &Options,
) -> Result<Comparison, CompareError> {
    if !(options.threshold_percent > 0.0 && options.threshold_percent.is_finite()) {
        return Err(CompareError::Threshold(options.threshold_percent));
    }
    for (side, runs) in [("baseline", baseline), ("current result", current)] {
        if runs.is_empty() {
            return Err(CompareError::Empty(side));
        }
        if let Some(run) = runs.iter().find(|r| r.verdict.kind == VerdictKind::Invalid) {
            let reason = run.fitness.reasons.join("; ");
            return Err(CompareError::Invalid { side, name: run.scenario.name.clone(), reason });
        }
    }
    let mut lines: Vec<Line> = Vec::new();
    for (at, figure) in FIGURES.iter().enumerate() {
        let seed = options.seed.wrapping_add(at as u64);
        lines.push(line(figure, baseline, current, options.threshold_percent, seed));
    }
    lines.extend(figure::of_steps(baseline, current, options.threshold_percent));
    Ok(Comparison {
        lines,
        warnings: warnings(baseline, current),
        threshold_percent: options.threshold_percent,
        runs: (baseline.len(), current.len()),
    })
}

/// Runs are what wavers, where there are enough of them.
const ENOUGH_RUNS: usize = 3;

fn line(
    figure: &figure::Figure,
    baseline: &[Summary],
    current: &[Summary],
    threshold: f64,
    seed: u64,
) -> Line {
    let by_run = baseline.len().min(current.len()) >= ENOUGH_RUNS;
    let samples = |runs: &[Summary]| match by_run {
        true => Samples::alone(runs.iter().filter_map(figure.of_run).collect()),
        false => Samples::of_seconds(
            runs.iter().map(|r| loaded(r).filter_map(figure.of_second).collect()),
        ),
    };
    let difference = interval(&samples(baseline), &samples(current), seed);
    let mean = |runs: &[Summary]| figure::mean(runs.iter().filter_map(figure.of_run));
    figure::judged(
        figure.name.to_owned(),
        figure,
        mean(baseline),
        mean(current),
        difference,
        threshold,
    )
}

/// The seconds in which load was due. What follows is the wait for the last answers, whose few late
/// ones would weigh as much as a second of many.
fn loaded(run: &Summary) -> impl Iterator<Item = &Second> {
    run.timeline.iter().filter(|row| row.due > 0)
}

#[cfg(test)]
mod tests;
