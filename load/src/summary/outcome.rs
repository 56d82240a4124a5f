//! What was asked of a run and whether it was given.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerdictKind {
    /// Everything that was asked for was given (exit code 0).
    Passed,
    /// A threshold, check or expectation was not met (99).
    Failed,
    /// The generator was the bottleneck: the numbers say nothing about the
    /// target (97).
    Invalid,
    /// It could not be run to its end (1).
    #[default]
    Error,
}

/// How a run ended, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// How it ended.
    pub kind: VerdictKind,
    /// The exit code that says so.
    pub exit_code: u8,
    /// Why, one sentence each; empty when it passed.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// It was ended early by a signal.
    #[serde(default)]
    pub interrupted: bool,
    /// It was ended early by a threshold that says so.
    #[serde(default)]
    pub aborted: bool,
}

/// A threshold and what the numbers said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// As it was written: `step.login.p95 < 200ms`.
    pub expression: String,
    /// Whether it held. Without samples it did not.
    pub passed: bool,
    /// What was measured, in the unit of the expression's left side:
    /// milliseconds, a ratio from 0 to 1, or a number a second.
    pub measured: Option<f64>,
    /// The same for people: `p95 is 412 ms`, `no samples`.
    pub text: String,
    /// It ended the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aborted: bool,
}

/// A check and how often it held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// Flow.
    pub flow: String,
    /// Step.
    pub step: String,
    /// The check in words: `status is 200`.
    pub name: String,
    /// Times that it held.
    pub passed: u64,
    /// Times that it did not.
    pub failed: u64,
    /// What the first answer was that did not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<String>,
}

/// Acknowledged writes, read back after the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Writes that the service said it had taken.
    pub acknowledged: u64,
    /// Of these, how many were found.
    pub found: u64,
    /// How many were not.
    pub lost: u64,
    /// How many were found more than once, unknown ones included.
    pub duplicated: u64,
    /// How many could not be read back, for want of an answer: neither found
    /// nor lost.
    #[serde(default)]
    pub unread: u64,
    /// Why they could not, in the words of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_reason: Option<String>,
    /// Writes that were sent and neither acknowledged nor refused: they may
    /// be there or not.
    pub unknown: u64,
    /// Of these, how many are there.
    #[serde(default)]
    pub unknown_found: u64,
    /// How many are not. Of the rest nobody knows, as only the answer would
    /// have told their key.
    #[serde(default)]
    pub unknown_missing: u64,
    /// Some of those lost, at most 100.
    #[serde(default)]
    pub examples: Vec<LostWrite>,
    /// Some of those found more than once, at most 100.
    #[serde(default)]
    pub duplicates: Vec<DuplicatedWrite>,
}

/// A write that was acknowledged and is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LostWrite {
    /// Its key.
    pub key: String,
    /// When it was acknowledged, in milliseconds since the start of the run.
    pub acknowledged_ms: u64,
    /// The phase in which that was.
    #[serde(default)]
    pub phase: String,
    /// What is there in its place, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

/// A write that is there more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DuplicatedWrite {
    /// Its key.
    pub key: String,
    /// How many times it is there.
    pub times: u64,
}
