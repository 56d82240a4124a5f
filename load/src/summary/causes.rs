//! Why requests failed, in words.

use super::Summary;
use crate::figures;

/// Longest text of an error that a result keeps, in characters.
const LONGEST: usize = 200;

/// What an error said, as a result keeps it.
#[must_use]
pub fn example(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some(_) => text.chars().take(LONGEST - 1).chain(['…']).collect(),
    }
}

/// A kind of failure and what was said, without saying one twice: `status 503`,
/// `connect: Connection refused`.
#[must_use]
pub fn with_kind(kind: &str, said: &str) -> String {
    match said {
        "" => kind.to_owned(),
        said if said.starts_with(kind) => said.to_owned(),
        said => format!("{kind}: {said}"),
    }
}

impl Summary {
    /// What one of the errors of a kind said: of the step that had the most of them.
    #[must_use]
    pub fn error_example(&self, kind: &str) -> Option<&str> {
        let steps = self.flows.iter().flat_map(|flow| &flow.steps).map(|step| &step.stats);
        let told = steps.filter_map(|stats| {
            let count = stats.errors.get(kind).copied().unwrap_or(0);
            Some((count, stats.error_examples.get(kind)?))
        });
        told.max_by_key(|(count, _)| *count).map(|(_, text)| text.as_str())
    }

    /// Why most requests failed: `200 × connect (Connection refused)`. `None`: none did.
    #[must_use]
    pub fn main_cause(&self) -> Option<String> {
        let (kind, n) = self.total.errors.iter().max_by_key(|(_, count)| **count)?;
        let n = figures::count(*n);
        Some(match self.error_example(kind) {
            None => format!("{n} × {kind}"),
            Some(said) if said.starts_with(kind.as_str()) => format!("{n} × {said}"),
            Some(said) => format!("{n} × {kind} ({said})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_most_frequent_kind_is_the_cause() {
        let mut summary = sample::summary();
        summary.total.errors = [("connect".to_owned(), 200), ("reset".to_owned(), 3)].into();
        assert_eq!(summary.main_cause().unwrap(), "200 × connect");
        let stats = &mut summary.flows[0].steps[1].stats;
        stats.error_examples = [("connect".to_owned(), "Connection refused".to_owned())].into();
        assert_eq!(summary.main_cause().unwrap(), "200 × connect (Connection refused)");
        summary.total.errors.clear();
        assert_eq!(summary.main_cause(), None);
    }

    #[test]
    fn nothing_is_said_twice_or_at_endless_length() {
        assert_eq!(with_kind("status", "status 503"), "status 503");
        assert_eq!(with_kind("connect", "refused"), "connect: refused");
        assert_eq!(with_kind("reset", ""), "reset");
        assert_eq!(example("short"), "short");
        assert_eq!(example(&"ä".repeat(300)).chars().count(), 200);
    }
}
