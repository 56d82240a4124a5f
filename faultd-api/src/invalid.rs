//! What a malformed request gets: which field, what is wrong, what to do.

use std::fmt;

/// A request that can never be served, on any host.
///
/// Shown as one line, in the words of the command line:
/// `--ms must be between 0.01 and 60000, got 0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The field as the API spells it (`jitter_ms`), without dashes.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub message: String,
}

impl Invalid {
    /// A complaint about one field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same for a message that is a sentence of its own:
    /// `--name: no process has the command name "redis"`.
    pub fn sentence(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { field: field.into(), message: format!(": {message}") }
    }

    /// The option that sets the field on the command line.
    pub fn option(&self) -> String {
        let name = self.field.strip_suffix("_ms").filter(|f| !f.is_empty()).unwrap_or(&self.field);
        format!("--{}", name.replace('_', "-"))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if self.message.starts_with(':') { "" } else { " " };
        write!(f, "{}{gap}{}", self.option(), self.message)
    }
}

impl std::error::Error for Invalid {}

/// Checks a number against closed bounds; NaN and infinities fail.
pub(crate) fn in_range(field: &str, value: f64, low: f64, high: f64) -> Result<(), Invalid> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(Invalid::new(field, format!("must be between {low} and {high}, got {}", short(value))))
}

/// Checks a percentage: above 0, at most 100.
pub(crate) fn percent(field: &str, value: f64) -> Result<(), Invalid> {
    if value > 0.0 && value <= 100.0 {
        return Ok(());
    }
    Err(Invalid::new(field, format!("must be above 0 and at most 100, got {}", short(value))))
}

/// `1e300` rather than three hundred digits.
fn short(value: f64) -> String {
    if value.is_finite() && (value.abs() >= 1e15 || (value != 0.0 && value.abs() < 1e-9)) {
        return format!("{value:e}");
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_goes_on_from_the_option_and_a_sentence_stands_beside_it() {
        assert_eq!(Invalid::new("jitter_ms", "is odd").to_string(), "--jitter is odd");
        assert_eq!(
            Invalid::sentence("name", "nobody is called x").to_string(),
            "--name: nobody is called x"
        );
    }
}
