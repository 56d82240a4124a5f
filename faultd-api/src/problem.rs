//! Errors on the wire: RFC 9457 problem documents.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A problem document (RFC 9457), `application/problem+json`.
///
/// `type` is `urn:faultd:` plus one of: `invalid`, `not-permitted`,
/// `not-supported`, `no-such-fault`, `too-large`, `failed`, `unsafe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:faultd:…`
    #[serde(rename = "type")]
    pub kind: String,
    /// A short summary of the problem type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong, where, and what to do.
    pub detail: String,
    /// The request field that is at fault, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// A problem of one of the types above.
    pub fn new(kind: &str, title: &str, status: u16, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:faultd:{kind}"),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            field: None,
        }
    }

    /// The exit code that `faultctl` ends with (contract).
    pub fn exit_code(&self) -> u8 {
        match self.kind.strip_prefix("urn:faultd:").unwrap_or_default() {
            "invalid" | "too-large" => 2,
            "not-permitted" | "unsafe" => 4,
            "not-supported" => 5,
            "no-such-fault" => 6,
            _ => 1,
        }
    }
}
