//! Sizes: `32KiB`, `10MB`, `1500`.

/// Units and their bytes, longest names first so that `KiB` is not read as `B`.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// A number of bytes.
///
/// # Errors
/// What is wrong with the text.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("takes a size such as 1500, 32KiB or 10MB, got {text:?}");
    let trimmed = text.trim();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, bytes)| Some((trimmed.strip_suffix(name)?, *bytes)))
        .unwrap_or((trimmed, 1));
    let number: u64 = number.trim_end().parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1500),
            ("32KiB", 32_768),
            ("10 MB", 10_000_000),
            ("7B", 7),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5MB", "10 parsecs", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text:?} was taken");
        }
    }
}
