//! `syscall`: system calls fail, or take longer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Call, Errno, Invalid, Target,
    invalid::{in_range, percent},
};

/// The most calls that one fault names; the data plane's limit.
const MAX_CALLS: usize = 64;
/// Bounds of `--delay`, in milliseconds.
const MIN_DELAY: f64 = 0.01;
const MAX_DELAY: f64 = 60_000.0;
/// PATH_MAX, include/uapi/linux/limits.h.
const PATH_MAX: usize = 4096;

/// Parameters of `syscall`: an error, a delay or both; at most one of percent,
/// every and first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct SyscallParams {
    /// System calls, by name: openat,openat2,creat
    #[cfg_attr(
        feature = "cli",
        arg(long, required = true, value_delimiter = ',', value_name = "NAME[,NAME]")
    )]
    #[schemars(length(min = 1, max = 64))]
    pub call: Vec<Call>,
    /// Error that they fail with, by name: ENOSPC
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub errno: Option<Errno>,
    /// Share of the calls that is hit, in percent [default: all of them]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERCENT", allow_negative_numbers = true))]
    pub percent: Option<f64>,
    /// Hit every N-th call
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", allow_negative_numbers = true))]
    #[schemars(range(min = 1))]
    pub every: Option<u32>,
    /// Hit the first N calls
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", allow_negative_numbers = true))]
    #[schemars(range(min = 1))]
    pub first: Option<u32>,
    /// Hit at most N calls in all
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", allow_negative_numbers = true))]
    #[schemars(range(min = 1))]
    pub max: Option<u32>,
    /// Only calls on this file, or on what is in this directory
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PREFIX", value_hint = clap::ValueHint::AnyPath))]
    pub path: Option<String>,
    /// Milliseconds that the calls take longer (0.01 to 60000), before they fail or go on
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "cli",
        arg(long = "delay", value_name = "MS", allow_negative_numbers = true)
    )]
    #[schemars(range(min = 0.01, max = 60000))]
    pub delay_ms: Option<f64>,
}

impl SyscallParams {
    /// Checks values that the types alone cannot.
    ///
    /// # Errors
    /// The first parameter that is out of bounds or contradicts another.
    pub fn validate(&self, _: &Target) -> Result<(), Invalid> {
        if self.call.is_empty() || self.call.len() > MAX_CALLS {
            let given = self.call.len();
            return Err(Invalid::new("call", format!("takes 1 to {MAX_CALLS} names, got {given}")));
        }
        if self.errno.is_none() && self.delay_ms.is_none() {
            return Err(Invalid::new("errno", "is missing: say --errno, --delay or both"));
        }
        self.validate_choice()?;
        if let Some(delay) = self.delay_ms {
            in_range("delay_ms", delay, MIN_DELAY, MAX_DELAY)?;
        }
        let Some(path) = &self.path else { return Ok(()) };
        if !path.starts_with('/') || path.contains('\0') || path.len() >= PATH_MAX {
            return Err(Invalid::new("path", format!("takes an absolute path, got {path:?}")));
        }
        if path.split('/').any(|part| part == "..") {
            return Err(Invalid::new("path", "must not contain `..`"));
        }
        Ok(())
    }

    /// The share of the calls that is hit in the long run, in percent.
    pub(super) fn requested(&self, measured: &str) -> Option<f64> {
        if measured != "percent" || self.first.is_some() || self.max.is_some() {
            return None;
        }
        let of_every = self.every.map(|n| 100.0 / f64::from(n));
        self.percent.or(of_every).or(Some(100.0))
    }

    fn validate_choice(&self) -> Result<(), Invalid> {
        let given = [self.percent.is_some(), self.every.is_some(), self.first.is_some()];
        if given.iter().filter(|g| **g).count() > 1 {
            let message = "cannot be combined: say one of --percent, --every and --first";
            return Err(Invalid::new("percent", message));
        }
        if let Some(p) = self.percent {
            percent("percent", p)?;
        }
        for (field, value) in [("every", self.every), ("first", self.first), ("max", self.max)] {
            if value == Some(0) {
                return Err(Invalid::new(field, "must be at least 1, got 0"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(json: serde_json::Value) -> Result<SyscallParams, String> {
        let params: SyscallParams = serde_json::from_value(json).map_err(|e| e.to_string())?;
        params.validate(&Target::default()).map_err(|e| e.to_string())?;
        Ok(params)
    }

    #[test]
    fn takes_an_error_a_delay_or_both() {
        for good in [
            serde_json::json!({"call": ["openat"], "errno": "ENOSPC", "percent": 10, "path": "/var"}),
            serde_json::json!({"call": ["fsync"], "delay_ms": 0.5}),
            serde_json::json!({"call": ["read", "pread64"], "errno": "EIO", "delay_ms": 5, "max": 3}),
        ] {
            assert!(params(good.clone()).is_ok(), "{good}: {:?}", params(good.clone()));
        }
    }

    #[test]
    fn refuses_what_contradicts_itself() {
        for (bad, word) in [
            (serde_json::json!({"call": [], "errno": "EIO"}), "--call"),
            (serde_json::json!({"call": ["openat"]}), "--errno"),
            (
                serde_json::json!({"call": ["openat"], "errno": "EIO", "first": 1, "every": 2}),
                "one of",
            ),
            (serde_json::json!({"call": ["openat"], "errno": "EIO", "percent": 0}), "--percent"),
            (serde_json::json!({"call": ["openat"], "errno": "EIO", "every": 0}), "--every"),
            (serde_json::json!({"call": ["openat"], "errno": "EIO", "max": 0}), "--max"),
            (serde_json::json!({"call": ["openat"], "delay_ms": 60001}), "--delay"),
            (serde_json::json!({"call": ["openat"], "errno": "EIO", "path": "tmp"}), "absolute"),
            (serde_json::json!({"call": ["openat"], "errno": "EIO", "path": "/a/../b"}), ".."),
            (serde_json::json!({"call": ["openat"], "errno": "EWRONG"}), "ENOSPC"),
            (serde_json::json!({"call": "openat", "errno": "EIO"}), "sequence"),
        ] {
            let error = params(bad.clone()).expect_err("refused");
            assert!(error.contains(word), "{bad}: {error}");
        }
    }
}
