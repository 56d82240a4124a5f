//! Figures for people: three or four digits, with their unit.

use crate::summary::PhaseKind;

/// What stands where nothing was measured.
pub const NONE: &str = "–";

/// A time that is given in milliseconds: `0.52 ms`, `41.2 ms`, `1.21 s`, `2m 5s`.
#[must_use]
pub fn ms(ms: f64) -> String {
    match ms.abs() {
        x if x < 9.995 => format!("{ms:.2} ms"),
        x if x < 99.95 => format!("{ms:.1} ms"),
        x if x < 999.5 => format!("{ms:.0} ms"),
        x if x < 99_950.0 => format!("{:.2} s", ms / 1000.0),
        _ => seconds(ms / 1000.0),
    }
}

/// The same where there may be none.
#[must_use]
pub fn maybe_ms(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.into(), ms)
}

/// A length of time in seconds: `12.5s`, `2m 5s`, `1h 30m`.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes, rest) {
        (0, 0, _) => format!("{}s", number(seconds)),
        (0, _, 0) => format!("{minutes}m"),
        (0, ..) => format!("{minutes}m {rest}s"),
        (_, 0, 0) => format!("{hours}h"),
        (.., 0) => format!("{hours}h {minutes}m"),
        _ => format!("{hours}h {minutes}m {rest}s"),
    }
}

/// A share from 0 to 1: `0%`, `0.012%`, `12.3%`, `100%`. What is not all is never shown as
/// `100%`, what is not nothing never as `0%`.
#[must_use]
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    let digits = match percent {
        p if p == 0.0 || p == 100.0 => 0,
        p if p < 0.1 => 3,
        p if p < 1.0 => 2,
        p if p > 99.9 && p < 100.0 => 3,
        p if p > 99.0 && p < 100.0 => 2,
        _ => 1,
    };
    let text = format!("{percent:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    match text {
        "0" if percent > 0.0 => "<0.001%".into(),
        "100" if percent < 100.0 => ">99.999%".into(),
        text => format!("{text}%"),
    }
}

/// The same where there may be none.
#[must_use]
pub fn maybe_percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| NONE.into(), percent)
}

/// A number: `0`, `0.25`, `41.2`, `1234`.
#[must_use]
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        x if x >= 1000.0 => 0,
        x if x >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// A count, in groups of three: `1 234 567`.
#[must_use]
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            // Narrow and unbreakable: a number stays on its line.
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// Bytes: `512 B`, `1.25 MB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            return format!("{} {unit}", number(value));
        }
        value /= 1000.0;
    }
    format!("{} TB", number(value))
}

/// What a phase is for, as results spell it.
#[must_use]
pub fn phase_kind(kind: PhaseKind) -> &'static str {
    match kind {
        PhaseKind::Baseline => "baseline",
        PhaseKind::Fault => "fault",
        PhaseKind::Recovery => "recovery",
        PhaseKind::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_true() {
        assert_eq!(
            [0.0, 0.5234, 41.234, 412.4, 999.6, 1234.0, 125_000.0].map(ms),
            ["0.00 ms", "0.52 ms", "41.2 ms", "412 ms", "1.00 s", "1.23 s", "2m 5s"]
        );
        assert_eq!(
            [0.25, 59.0, 60.0, 125.0, 3600.0, 5400.0, 3661.0].map(seconds),
            ["0.25s", "59s", "1m", "2m 5s", "1h", "1h 30m", "1h 1m 1s"]
        );
        assert_eq!(
            [0.0, 1e-9, 0.0001, 0.005, 0.123, 0.5, 0.9999, 0.999_999_9, 1.0].map(percent),
            ["0%", "<0.001%", "0.01%", "0.5%", "12.3%", "50%", "99.99%", ">99.999%", "100%"]
        );
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
        assert_eq!(
            [0, 512, 1_250_000, 5_000_000_000_000].map(bytes),
            ["0 B", "512 B", "1.25 MB", "5 TB"]
        );
        assert_eq!([0.0, 0.25, 41.25, 1234.5].map(number), ["0", "0.25", "41.2", "1234"]);
        assert_eq!((maybe_ms(None), maybe_percent(None)), ("–".into(), "–".into()));
    }
}
