//! Small words of the scenario language: sizes, rates, percentages, bounds, and
//! what somebody who mistyped a word may have meant.

mod bounds;
mod rate;
mod size;

pub use bounds::{SpanRange, think};
pub use rate::{multiple, rate};
pub use size::size;

/// `; did you mean …?` if one of `known` is near `word`, else what is known.
/// Meant to follow a sentence.
#[must_use]
pub fn instead(word: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(word, known) {
        return format!("; did you mean `{near}`?");
    }
    match known {
        [] => String::new(),
        _ => format!("; known are {}", known.join(", ")),
    }
}

/// That of `known` which `word` most likely was to be.
#[must_use]
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    let scored = known.iter().map(|known| {
        let distance = strsim::damerau_levenshtein(&word, &known.to_lowercase());
        (distance, *known)
    });
    // A third of the letters may be wrong, and one in short words.
    let allowed = (word.chars().count() / 3).max(1);
    scored
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        let known = ["stages", "steps", "users"];
        assert_eq!(nearest("stagse", &known), Some("stages"));
        assert_eq!(nearest("Step", &known), Some("steps"));
        assert_eq!(nearest("probe", &known), None);
        assert_eq!(instead("x", &["a", "b"]), "; did you mean `a`?");
        assert_eq!(instead("probe", &known), "; known are stages, steps, users");
        assert_eq!(instead("probe", &[]), "");
    }
}
