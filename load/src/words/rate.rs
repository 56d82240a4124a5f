//! Rates: `100/s`, `30/m`, `20k/s`.

/// Takes `k` (thousands) or `M` (millions) off a number; returns what is left and the factor.
#[must_use]
pub fn multiple(number: &str) -> (&str, f64) {
    match (number.strip_suffix('k'), number.strip_suffix('M')) {
        (Some(thousands), _) => (thousands, 1e3),
        (_, Some(millions)) => (millions, 1e6),
        _ => (number, 1.0),
    }
}

/// A number a second. A bare number is one, too.
///
/// # Errors
/// What is wrong with the text.
pub fn rate(text: &str) -> Result<f64, String> {
    let wrong = || format!("takes a rate such as 100/s or 30/m, got {text:?}");
    let (number, per) = match text.trim().split_once('/') {
        None => (text.trim(), 1.0),
        Some((number, unit)) => {
            let per = match unit.trim() {
                "s" | "sec" | "second" => 1.0,
                "m" | "min" | "minute" => 60.0,
                "h" | "hour" => 3600.0,
                _ => return Err(wrong()),
            };
            (number.trim_end(), per)
        }
    };
    let (number, factor) = multiple(number);
    // `f64` would take `inf`, `nan` and `1e9` as well: nobody means these.
    if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-') {
        return Err(wrong());
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    if number < 0.0 {
        return Err(format!("a rate cannot be negative, got {text:?}"));
    }
    Ok(number * factor / per)
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rates() {
        for (text, per_second) in [
            ("100/s", 100.0),
            ("30/m", 0.5),
            ("20k/s", 20_000.0),
            ("1.5M/s", 1_500_000.0),
            ("0", 0.0),
            (" 1.5 / s", 1.5),
            ("3600/h", 1.0),
        ] {
            assert_eq!(rate(text), Ok(per_second), "{text}");
        }
        for text in ["", "/s", "100/d", "inf", "1e3/s", "100 per second", "10rps", "1.2.3/s"] {
            assert!(rate(text).is_err(), "{text:?} was taken");
        }
        assert!(rate("-5/s").unwrap_err().contains("negative"));
    }
}
