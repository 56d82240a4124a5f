//! The ledger of writes.

use faultd_api::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ExtractFile, StepFile};
use crate::scenario::read::{Located, TextOr};

/// What is noted of a write. The short form is the key alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteFile {
    /// The key that it is read back by; a template. Values that are drawn anew each time are made
    /// by `set`.
    pub key: Located<String>,
    /// What was written, as `{{value}}` for the steps that read it back; a template.
    #[serde(default)]
    pub value: Option<Located<String>>,
}

/// How writes that steps note (`ledger` there) are read back after the load. One of `count`,
/// `items` and `keys` at most; without them a key is there when the steps succeed, and lost when
/// the answer is 404 or 410 or a check does not hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerFile {
    /// What is asked for each key, which is `{{key}}`.
    pub read: Located<Vec<Located<StepFile>>>,
    /// Where the last answer says how many there are: a JSONPath, or `header`, `regex`, ….
    #[serde(default)]
    pub count: Option<Located<TextOr<ExtractFile>>>,
    /// A JSONPath into the last answer that finds each of them once: `$.items[*]`.
    #[serde(default)]
    pub items: Option<Located<String>>,
    /// A JSONPath into the last answer that finds the keys of all writes: the steps are done once.
    #[serde(default)]
    pub keys: Option<Located<String>>,
    /// Keys that are asked for at once [default: 16].
    #[serde(default)]
    pub parallel: Option<Located<u32>>,
    /// How long a key that has no answer is asked for again; when none has one for so long, all are
    /// given up [default: 60s].
    #[serde(default)]
    pub within: Option<Span>,
}
