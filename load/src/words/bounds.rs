//! A time or a range of times: `1s`, `1s..3s`.

use std::time::Duration;

use faultd_api::Span;

/// Two times, the first not above the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanRange {
    /// The shorter one.
    pub min: Duration,
    /// The longer one.
    pub max: Duration,
}

/// Reads one time, or two with `..` between them.
///
/// # Errors
/// What is wrong with the text.
pub fn think(text: &str) -> Result<SpanRange, String> {
    let wrong = |_| format!("takes a time such as 1s, or two such as 1s..3s, got {text:?}");
    let span = |text: &str| text.trim().parse::<Span>().map(Span::get).map_err(wrong);
    match text.split_once("..") {
        None => span(text).map(|time| SpanRange { min: time, max: time }),
        Some((min, max)) => {
            // Nothing can be written as 0s, which is no duration of a fault but is one of a pause.
            let min = if min.trim() == "0s" { Duration::ZERO } else { span(min)? };
            let max = span(max)?;
            if min > max {
                return Err(format!("takes the shorter time first, got {text:?}"));
            }
            Ok(SpanRange { min, max })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_or_two() {
        let ms = |min, max| {
            Ok(SpanRange { min: Duration::from_millis(min), max: Duration::from_millis(max) })
        };
        assert_eq!(think("1s"), ms(1000, 1000));
        assert_eq!(think("500ms..3s"), ms(500, 3000));
        assert_eq!(think("0s .. 2s"), ms(0, 2000));
        for text in ["", "1", "..", "1s..", "3s..1s", "1s...3s"] {
            assert!(think(text).is_err(), "{text:?} was taken");
        }
    }
}
