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
        let words = shlex::split(text).ok_or_else(|| wrong("a quote is not closed"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
