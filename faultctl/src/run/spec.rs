//! `--fault 'syscall --call connect --errno ETIMEDOUT'`: a fault in one
//! argument, with the parameters that `inject syscall` takes.

use std::str::FromStr;

use clap::{Args, Command, FromArgMatches};
use faultd_api::{Invalid, Kind, SyscallParams, Target};

use crate::cli::usage;

const KIND: &str = "syscall";

/// A fault of `run`.
#[derive(Debug, Clone)]
pub struct FaultSpec {
    /// What was typed.
    pub text: String,
    /// What it means.
    pub params: SyscallParams,
}

impl FromStr for FaultSpec {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |what: &str| Invalid::new("fault", format!("{text:?}: {what}"));
        let words = words(text).ok_or_else(|| wrong("a quote is not closed"))?;
        match words.first().map(String::as_str) {
            Some(KIND) => {}
            Some(kind) if kind.parse::<Kind>().is_ok() => {
                let what = format!(
                    "run serves the kind {KIND} only; for {kind} start faultd and use inject"
                );
                return Err(wrong(&what));
            }
            _ => return Err(wrong("takes a fault such as 'syscall --call openat --errno ENOSPC'")),
        }
        let command = SyscallParams::augment_args(Command::new(KIND)).disable_help_flag(true);
        let params = command
            .try_get_matches_from(&words)
            .and_then(|matches| SyscallParams::from_arg_matches(&matches))
            .map_err(|e| wrong(&usage::line(&e, KIND)))?;
        params.validate(&Target::default()).map_err(|e| wrong(&e.to_string()))?;
        Ok(Self { text: text.trim().to_owned(), params })
    }
}

/// Words as a shell would split them, with quotes and backslashes. `None`: a
/// quote stays open.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let split = |text: &str| words(text).map(|w| w.join("|"));
        assert_eq!(split(r"a  'b c' d\ e").as_deref(), Some("a|b c|d e"));
        assert_eq!(split(r#"--path="/a \"b\"" ''"#).as_deref(), Some(r#"--path=/a "b"|"#));
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("  "), Some(String::new()));
    }

    #[test]
    fn reads_what_inject_reads() {
        let spec: FaultSpec =
            "syscall --call openat,creat --errno ENOSPC --path '/var/my app' --max 5"
                .parse()
                .unwrap();
        assert_eq!(spec.params.call.len(), 2);
        assert_eq!(spec.params.path.as_deref(), Some("/var/my app"));
        assert_eq!(spec.params.max, Some(5));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let refused = |text: &str| text.parse::<FaultSpec>().unwrap_err().to_string();
        for (text, words) in [
            ("latency --ms 5", "run serves the kind syscall only"),
            ("", "takes a fault such as"),
            ("syscall --call openat", "--errno is missing"),
            ("syscall --call openat --errno EWHAT", "--errno takes the name of an error"),
            ("syscall --errno EIO", "--call is missing"),
            ("syscall --call openat --errno EIO --colour", "no option --colour"),
            ("syscall --call 'openat --errno EIO", "quote"),
        ] {
            assert!(refused(text).contains(words), "{text}: {}", refused(text));
        }
    }
}
