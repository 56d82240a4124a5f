//! What is asked of the numbers: `p95 < 500ms`, `phase.fault.step.login.error_ratio < 1%`.
//!
//! ```text
//! expression = { scope "." } metric comparison value
//! scope      = "phase." NAME | "flow." NAME | "step." NAME
//! metric     = [ time "." ] ( "p" NUMBER | mean | min | max ) | error_ratio | rate | …
//! comparison = "<" | "<=" | ">" | ">=" | "==" | "!="
//! value      = NUMBER unit, of the unit that the metric has
//! ```
//!
//! A `phase` may be named by what it is for (`baseline`, `fault`, `recovery`): then every phase of
//! that kind has to hold. A figure without samples breaks its threshold.

mod evaluate;
mod judge;
mod known;
mod metric;
mod parse;

use std::{fmt, time::Duration};

pub use judge::{MAX_SKIPPED_RATIO, judge};
pub use known::Known;
pub use metric::{Metric, TimeOf, Unit};
pub use parse::ThresholdError;

/// Exit code of a run that broke a threshold, a check or an expectation.
pub const EXIT_BROKEN: u8 = 99;
/// Exit code of a run in which the generator was the bottleneck.
pub const EXIT_INVALID: u8 = 97;
/// Exit code of a run that could not be run.
pub const EXIT_ERROR: u8 = 1;

/// One expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As it was written.
    pub expression: String,
    /// Where it is looked at.
    pub scope: Scope,
    /// What is looked at.
    pub metric: Metric,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what: milliseconds, a ratio, a number a second, or a count.
    pub bound: f64,
    /// Ends the run when it is broken after this much of it.
    pub abort_after: Option<Duration>,
}

/// The part of a run that an expression is about; all of it by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// A phase, by its name or by what it is for.
    pub phase: Option<String>,
    /// A flow.
    pub flow: Option<String>,
    /// A step, of any flow when none is named.
    pub step: Option<String>,
}

/// How a figure is compared with its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Different,
}

impl Comparison {
    /// Whether a figure holds.
    #[must_use]
    pub fn holds(self, measured: f64, bound: f64) -> bool {
        match self {
            Self::Below => measured < bound,
            Self::AtMost => measured <= bound,
            Self::Above => measured > bound,
            Self::AtLeast => measured >= bound,
            Self::Equal => measured == bound,
            Self::Different => measured != bound,
        }
    }

    /// Of two figures, whether the first is further from holding.
    fn is_worse(self, one: f64, other: f64) -> bool {
        match self {
            Self::Below | Self::AtMost => one > other,
            Self::Above | Self::AtLeast => one < other,
            Self::Equal | Self::Different => false,
        }
    }
}

impl Threshold {
    /// Whether it can be looked at while the run goes on: seconds add up to counts, not to
    /// percentiles.
    #[must_use]
    pub fn can_abort(&self) -> bool {
        self.scope == Scope::default()
            && matches!(
                self.metric,
                Metric::ErrorRatio
                    | Metric::SuccessRatio
                    | Metric::Failed
                    | Metric::Errors(_)
                    | Metric::Late
                    | Metric::Skipped
                    | Metric::SkippedRatio
            )
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.expression)
    }
}

impl fmt::Display for Scope {
    /// As in an expression, without the dot at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("phase", &self.phase), ("flow", &self.flow), ("step", &self.step)];
        let named = parts.into_iter().filter_map(|(kind, name)| Some((kind, name.as_ref()?)));
        for (at, (kind, name)) in named.enumerate() {
            let dot = if at > 0 { "." } else { "" };
            write!(f, "{dot}{kind}.{name}")?;
        }
        Ok(())
    }
}
