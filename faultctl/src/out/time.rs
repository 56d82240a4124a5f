//! Times and spans as people read them.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

/// Local wall-clock time; with the date when that is not today's.
pub fn local(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned(zone.clone());
    let format =
        if at.date() == now.to_zoned(zone.clone()).date() { "%H:%M:%S" } else { "%F %H:%M:%S" };
    at.strftime(format).to_string()
}

/// The same to the millisecond.
pub fn local_ms(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%F %H:%M:%S%.3f").to_string()
}

/// `450ms`, `9.8s`, `48s`, `5m 03s`, `1h 30m`: rounded to what is shown.
pub fn span(span: Duration) -> String {
    let ms = span.as_millis();
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let tenths = (ms + 50) / 100;
    if tenths < 100 {
        return format!("{}.{}s", tenths / 10, tenths % 10);
    }
    let secs = (ms + 500) / 1000;
    match secs {
        0..=59 => format!("{secs}s"),
        60..=3599 => format!("{}m {:02}s", secs / 60, secs % 60),
        3600..=86_399 => format!("{}h {:02}m", secs / 3600, secs % 3600 / 60),
        _ => format!("{}d {:02}h", secs / 86_400, secs % 86_400 / 3600),
    }
}

/// From `now` to `then`; nothing when that is past.
pub fn left(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        for (ms, text) in [
            (0, "0ms"),
            (450, "450ms"),
            (1_000, "1.0s"),
            (9_870, "9.9s"),
            (9_960, "10s"),
            (19_990, "20s"),
            (59_600, "1m 00s"),
            (303_000, "5m 03s"),
            (5_400_000, "1h 30m"),
            (100_800_000, "1d 04h"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn dates_are_shown_when_they_matter() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-11-21T10:01:00.5Z".parse().unwrap();
        let tomorrow: Timestamp = "2026-11-22T00:00:01Z".parse().unwrap();
        assert_eq!(local(later, now, &TimeZone::UTC), "10:01:00");
        assert_eq!(local(tomorrow, now, &TimeZone::UTC), "2026-11-22 00:00:01");
        assert_eq!(local_ms(later, &TimeZone::UTC), "2026-11-21 10:01:00.500");
        assert_eq!(left(later, now), Duration::ZERO);
    }
}
