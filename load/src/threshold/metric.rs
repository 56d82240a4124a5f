//! What an expression can look at.

use std::fmt;

use crate::{measure::ErrorKind, words};

/// A figure of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// A percentile of a time, 0 to 100.
    Percentile(TimeOf, f64),
    /// The mean of a time.
    Mean(TimeOf),
    /// The shortest of a time.
    Min(TimeOf),
    /// The longest of a time.
    Max(TimeOf),
    /// Failed requests, of those that came to an end.
    ErrorRatio,
    /// The rest.
    SuccessRatio,
    /// Good answers a second.
    Rate,
    /// Requests sent.
    Requests,
    /// Requests that failed.
    Failed,
    /// Requests that failed in one way (`errors.connect`).
    Errors(String),
    /// Requests that were sent late.
    Late,
    /// Requests that were due and never sent.
    Skipped,
    /// The same of those that were due.
    SkippedRatio,
    /// Tokens a second of a streamed answer.
    TokensPerSecond,
    /// Checks that held, of all.
    Checks,
    /// Probes that were answered, of all; the worse of the two streams.
    Availability,
    /// The longest time without a probe answered.
    LongestOutage,
    /// All such times together.
    Downtime,
    /// From the end of a fault until the target is back; the longest of all faults.
    Recovery,
    /// Acknowledged writes that are not there.
    LostWrites,
    /// Acknowledged writes that are there more than once.
    DuplicatedWrites,
}

/// Which time of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeOf {
    /// From the moment it was due to the end of its answer.
    Latency,
    /// From the moment it was sent.
    Service,
    /// From the moment it was sent to the first byte.
    FirstByte,
    /// From the moment it was due to the first event of a stream.
    FirstEvent,
    /// Between events of a stream.
    BetweenEvents,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Time,
    /// 0 to 1, written as percent.
    Ratio,
    /// A number a second.
    Rate,
    /// A number.
    Count,
}

/// Words and figures. Percentiles, `errors.KIND` and times are added by [`Metric::parse`].
const PLAIN: [(&str, Metric); 16] = [
    ("error_ratio", Metric::ErrorRatio),
    ("success_ratio", Metric::SuccessRatio),
    ("rate", Metric::Rate),
    ("requests", Metric::Requests),
    ("failed", Metric::Failed),
    ("late", Metric::Late),
    ("skipped", Metric::Skipped),
    ("skipped_ratio", Metric::SkippedRatio),
    ("tokens_per_second", Metric::TokensPerSecond),
    ("checks", Metric::Checks),
    ("availability", Metric::Availability),
    ("longest_outage", Metric::LongestOutage),
    ("downtime", Metric::Downtime),
    ("recovery", Metric::Recovery),
    ("lost_writes", Metric::LostWrites),
    ("duplicated_writes", Metric::DuplicatedWrites),
];

const TIMES: [(&str, TimeOf); 5] = [
    ("latency", TimeOf::Latency),
    ("service", TimeOf::Service),
    ("first_byte", TimeOf::FirstByte),
    ("first_event", TimeOf::FirstEvent),
    ("between_events", TimeOf::BetweenEvents),
];

impl Metric {
    /// Reads what stands between the scope and the comparison.
    ///
    /// # Errors
    /// That there is no such figure, and which may have been meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, metric)) = PLAIN.into_iter().find(|(word, _)| *word == text) {
            return Ok(metric);
        }
        if let Some(kind) = text.strip_prefix("errors.") {
            let known = ErrorKind::ALL.map(ErrorKind::name);
            return match known.contains(&kind) {
                true => Ok(Self::Errors(kind.to_owned())),
                false => {
                    let instead = words::instead(kind, &known);
                    Err(format!("there is no kind of error {kind:?}{instead}"))
                }
            };
        }
        let time = TIMES
            .into_iter()
            .find_map(|(word, time)| Some((time, text.strip_prefix(word)?.strip_prefix('.')?)));
        let (time, of) = time.unwrap_or((TimeOf::Latency, text));
        match of {
            "mean" | "avg" => return Ok(Self::Mean(time)),
            "min" => return Ok(Self::Min(time)),
            "max" => return Ok(Self::Max(time)),
            "median" => return Ok(Self::Percentile(time, 50.0)),
            _ => {}
        }
        if let Some(percent) = of.strip_prefix('p').and_then(|p| p.parse::<f64>().ok()) {
            if !(percent > 0.0 && percent <= 100.0) {
                return Err(format!("a percentile lies above 0 and at most at 100, got {of}"));
            }
            return Ok(Self::Percentile(time, percent));
        }
        let plain = PLAIN.iter().map(|(word, _)| *word);
        let known: Vec<&str> = ["p95", "mean", "min", "max", "median", "errors.connect"]
            .into_iter()
            .chain(plain)
            .collect();
        Err(format!("there is no figure {text:?}{}", words::instead(text, &known)))
    }

    /// What it counts.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self {
            Self::Percentile(..) | Self::Mean(_) | Self::Min(_) | Self::Max(_) => Unit::Time,
            Self::LongestOutage | Self::Downtime | Self::Recovery => Unit::Time,
            Self::ErrorRatio | Self::SuccessRatio | Self::SkippedRatio => Unit::Ratio,
            Self::Checks | Self::Availability => Unit::Ratio,
            Self::Rate | Self::TokensPerSecond => Unit::Rate,
            Self::Requests | Self::Failed | Self::Errors(_) | Self::Late => Unit::Count,
            Self::Skipped | Self::LostWrites | Self::DuplicatedWrites => Unit::Count,
        }
    }

    /// Whether failing requests are what it is about, so that a scenario which has it says itself
    /// how many it bears.
    #[must_use]
    pub fn bounds_failures(&self) -> bool {
        self.bounds_all_failures() || matches!(self, Self::Errors(_) | Self::Checks)
    }

    /// Whether that is about requests, of whatever kind their failure is.
    #[must_use]
    pub fn bounds_all_failures(&self) -> bool {
        matches!(self, Self::ErrorRatio | Self::SuccessRatio | Self::Failed)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |f: &mut fmt::Formatter<'_>, time: &TimeOf| match time {
            TimeOf::Latency => Ok(()),
            other => {
                let word = TIMES.iter().find(|(_, t)| t == other).map_or("", |(word, _)| *word);
                write!(f, "{word}.")
            }
        };
        match self {
            Self::Percentile(of, percent) => {
                time(f, of)?;
                write!(f, "p{percent}")
            }
            Self::Mean(of) => time(f, of).and_then(|()| f.write_str("mean")),
            Self::Min(of) => time(f, of).and_then(|()| f.write_str("min")),
            Self::Max(of) => time(f, of).and_then(|()| f.write_str("max")),
            Self::Errors(kind) => write!(f, "errors.{kind}"),
            plain => {
                let word = PLAIN.iter().find(|(_, m)| m == plain).map_or("", |(word, _)| *word);
                f.write_str(word)
            }
        }
    }
}
