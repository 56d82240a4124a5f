//! An error with its causes, on one line.

use std::error::Error;

/// The error and every cause that says something new: many errors repeat their
/// source in their own words.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_not_repeated() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the door: {0}")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("it is locked"));
        assert_eq!(chain(&error), "cannot open the door: it is locked");
        let more = anyhow::Error::from(error).context("going in");
        assert_eq!(chain(&*more), "going in: cannot open the door: it is locked");
    }
}
