//! From text to an expression, with errors that point at the place.

use std::str::FromStr;

use super::{Comparison, Metric, Scope, Threshold, Unit};
use crate::words;

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ThresholdError {
    /// What, and what would be right.
    pub message: String,
    /// Where in the text, in characters from 0.
    pub at: usize,
}

const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("!=", Comparison::Different),
    ("<", Comparison::Below),
    (">", Comparison::Above),
];

const SCOPES: [&str; 3] = ["phase", "flow", "step"];

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let wrong = |byte: usize, message: String| ThresholdError {
            message,
            at: text[..byte].chars().count(),
        };
        let operator = text.find(['<', '>', '=', '!']).ok_or_else(|| {
            let message =
                "takes a comparison such as p95 < 500ms: there is no <, <=, >, >=, == or !=";
            wrong(text.len(), message.into())
        })?;
        let (sign, comparison) = COMPARISONS
            .into_iter()
            .find(|(sign, _)| text[operator..].starts_with(sign))
            .ok_or_else(|| wrong(operator, "compare with <, <=, >, >=, == or !=".into()))?;

        let indent = text.len() - text.trim_start().len();
        let left = text[indent..operator].trim_end();
        let (scope, metric, metric_at) = scope_of(left).map_err(|(at, m)| wrong(indent + at, m))?;
        let metric_at = indent + metric_at;
        let metric = Metric::parse(metric).map_err(|m| wrong(metric_at, m))?;
        if scope.is_outside(&metric) {
            let message = format!("`{metric}` is known of the whole run alone, not of {scope}");
            return Err(wrong(indent, message));
        }

        let after = &text[operator + sign.len()..];
        let value_at = operator + sign.len() + (after.len() - after.trim_start().len());
        let bound = value(after.trim(), &metric).map_err(|m| wrong(value_at, m))?;
        let expression = text.trim().to_owned();
        Ok(Self { expression, scope, metric, comparison, bound, abort_after: None })
    }
}

/// Cuts the scopes off; returns the rest and where it begins.
fn scope_of(text: &str) -> Result<(Scope, &str, usize), (usize, String)> {
    let mut scope = Scope::default();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let Some((head, tail)) = rest.split_once('.') else { break };
        let slot = match head {
            "phase" => &mut scope.phase,
            "flow" => &mut scope.flow,
            "step" => &mut scope.step,
            // `latency.p95`, `errors.connect`, or a scope that was mistyped.
            _ if Metric::parse(rest).is_err() && words::nearest(head, &SCOPES).is_some() => {
                let instead = words::instead(head, &SCOPES);
                return Err((at, format!("there is no scope {head:?}{instead}")));
            }
            _ => break,
        };
        let Some((name, metric)) = tail.split_once('.') else {
            let message = format!("say which {head} and which figure: {head}.NAME.p95");
            return Err((at, message));
        };
        if name.is_empty() || metric.is_empty() {
            return Err((at, format!("takes {head}.NAME.FIGURE, such as {head}.login.p95")));
        }
        if slot.replace(name.to_owned()).is_some() {
            return Err((at, format!("names a {head} twice")));
        }
        at += head.len() + name.len() + 2;
    }
    if text[at..].is_empty() {
        return Err((at, "says no figure, such as p95, error_ratio or rate".into()));
    }
    Ok((scope, &text[at..], at))
}

impl Scope {
    /// Whether it asks for a part of what is only known of the whole.
    fn is_outside(&self, metric: &Metric) -> bool {
        let of_load = self.flow.is_some() || self.step.is_some();
        match metric {
            Metric::Availability | Metric::LongestOutage => of_load,
            Metric::Checks => self.phase.is_some(),
            Metric::Downtime | Metric::Recovery => of_load || self.phase.is_some(),
            Metric::LostWrites | Metric::DuplicatedWrites => of_load || self.phase.is_some(),
            _ => false,
        }
    }
}

fn value(text: &str, metric: &Metric) -> Result<f64, String> {
    let end =
        text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let is = |expected: &str| format!("`{metric}` is {expected}, got {text:?}");
    let expected = match metric.unit() {
        Unit::Time => "a time: write 500ms, 2s or 1m",
        Unit::Ratio => "a share: write 1% or 0.01",
        Unit::Rate => "a rate: write 1000/s",
        Unit::Count => "a number: write it without a unit",
    };
    let number: f64 = number.parse().map_err(|_| is(expected))?;
    if number < 0.0 {
        return Err(format!("`{metric}` is never negative, got {text:?}"));
    }
    let factor = match (metric.unit(), unit.trim()) {
        (Unit::Time, "ms") => 1.0,
        (Unit::Time, "us" | "µs") => 1e-3,
        (Unit::Time, "s") => 1e3,
        (Unit::Time, "m" | "min") => 60e3,
        (Unit::Time, "h") => 3600e3,
        // 0 is 0 in every unit.
        (Unit::Time, "") if number == 0.0 => 1.0,
        (Unit::Ratio, "%") => 0.01,
        (Unit::Ratio, "") if number <= 1.0 => 1.0,
        (Unit::Ratio, "") => return Err(is("a share: write 1% or 0.01, at most 1")),
        (Unit::Rate, "/s" | "") => 1.0,
        (Unit::Rate, "/m" | "/min") => 1.0 / 60.0,
        (Unit::Count, "") => 1.0,
        _ => return Err(is(expected)),
    };
    Ok(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threshold::TimeOf;

    fn parse(text: &str) -> Threshold {
        text.parse().unwrap_or_else(|e: ThresholdError| panic!("{text}: {e}"))
    }

    #[test]
    fn expressions_of_every_sort() {
        let p95 = parse("p95 < 500ms");
        assert_eq!((p95.metric, p95.bound), (Metric::Percentile(TimeOf::Latency, 95.0), 500.0));
        assert_eq!(parse("error_ratio<1%").bound, 0.01);
        assert_eq!(parse("error_ratio <= 0.01").bound, 0.01);
        assert_eq!(parse("rate > 1000/s").bound, 1000.0);
        assert_eq!(parse(" p99.9 >= 2s ").bound, 2000.0);
        assert_eq!(parse("recovery < 30s").metric, Metric::Recovery);
        assert_eq!(parse("lost_writes == 0").comparison, Comparison::Equal);
        assert_eq!(parse("longest_outage < 0").bound, 0.0);
        let step = parse("phase.fault.flow.buy.step.log-in.service.p95 < 200ms");
        assert_eq!(step.scope.to_string(), "phase.fault.flow.buy.step.log-in");
        assert_eq!(step.metric, Metric::Percentile(TimeOf::Service, 95.0));
        assert_eq!(parse("step.login.p95 < 200ms").scope.step.as_deref(), Some("login"));
        assert_eq!(parse("errors.connect == 0").metric, Metric::Errors("connect".into()));
        assert_eq!(parse("phase.fault.availability > 99.9%").metric, Metric::Availability);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, at, message) in [
            (
                "p95",
                3,
                "takes a comparison such as p95 < 500ms: there is no <, <=, >, >=, == or !=",
            ),
            ("p95 = 5ms", 4, "compare with <, <=, >, >=, == or !="),
            ("p95 < 500", 6, "`p95` is a time: write 500ms, 2s or 1m, got \"500\""),
            ("p95 < 5%", 6, "`p95` is a time: write 500ms, 2s or 1m, got \"5%\""),
            ("p95 < ", 6, "`p95` is a time: write 500ms, 2s or 1m, got \"\""),
            (
                "error_ratio < 5",
                14,
                "`error_ratio` is a share: write 1% or 0.01, at most 1, got \"5\"",
            ),
            ("error_ratio < 5ms", 14, "`error_ratio` is a share: write 1% or 0.01, got \"5ms\""),
            ("rate > 10ms", 7, "`rate` is a rate: write 1000/s, got \"10ms\""),
            ("late == 3%", 8, "`late` is a number: write it without a unit, got \"3%\""),
            ("p95 < -5ms", 6, "`p95` is never negative, got \"-5ms\""),
            (
                "eror_ratio < 1%",
                0,
                "there is no figure \"eror_ratio\"; did you mean `error_ratio`?",
            ),
            ("step.login.p950 < 1s", 11, "a percentile lies above 0 and at most at 100, got p950"),
            (
                "errors.conect == 0",
                0,
                "there is no kind of error \"conect\"; did you mean `connect`?",
            ),
            (
                "errors.bogus == 0",
                0,
                "there is no kind of error \"bogus\"; known are connect, reset, timeout, truncated, protocol, tls, status, check, extract, descriptors, ports, memory, template",
            ),
            (
                "error.connect == 0",
                0,
                "there is no figure \"error.connect\"; did you mean `errors.connect`?",
            ),
            ("stpe.login.p95 < 1s", 0, "there is no scope \"stpe\"; did you mean `step`?"),
            ("step.p95 < 1s", 0, "say which step and which figure: step.NAME.p95"),
            ("step..p95 < 1s", 0, "takes step.NAME.FIGURE, such as step.login.p95"),
            ("step.a.step.b.p95 < 1s", 7, "names a step twice"),
            ("< 5ms", 0, "says no figure, such as p95, error_ratio or rate"),
            (
                "step.a.recovery < 5s",
                0,
                "`recovery` is known of the whole run alone, not of step.a",
            ),
        ] {
            let error = text.parse::<Threshold>().unwrap_err();
            assert_eq!((error.at, error.message.as_str()), (at, message), "{text}");
        }
    }

    #[test]
    fn no_text_makes_the_parser_stumble() {
        // Every piece of every expression, and every two of them crossed.
        let texts =
            ["phase.fault.step.a.p99.9 <= 1.5s", "errors.connect != 0", "µs ünï < 3%", "p.5<.5"];
        for one in texts {
            for cut in one.char_indices().map(|(at, _)| at) {
                for other in texts {
                    let _ = format!("{}{other}", &one[..cut]).parse::<Threshold>();
                    let _ = format!("{other}{}", &one[cut..]).parse::<Threshold>();
                    let _ = one[..cut].parse::<Threshold>();
                }
            }
        }
    }
}
