//! What is expected of answers and taken out of them.

use std::fmt;

use faultd_api::Span;
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

use crate::scenario::read::{Amount, Located, OneOrMany};

/// Where a value stands in an answer: one key of them. The short form is a JSONPath alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExtractFile {
    /// A JSONPath into the body: `$.items[0].id`.
    pub json: Option<Located<String>>,
    /// A header.
    pub header: Option<Located<String>>,
    /// A cookie that the answer sets.
    pub cookie: Option<Located<String>>,
    /// A regular expression over the body: its first group, or all of it.
    pub regex: Option<Located<String>>,
    /// What it is when the answer does not have it; without this the step fails.
    pub default: Option<String>,
}

/// One thing that must hold: `status`, `latency_below`, `body_…`, or a value (`json`, `header`,
/// `cookie`, `regex`) and how it must be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckFile {
    /// What reports call it [default: the check in words].
    pub name: Option<String>,
    /// Statuses: `200`, `2xx`, `200-204`, or a list of these.
    pub status: Option<Located<OneOrMany>>,
    /// The answer takes less than this.
    pub latency_below: Option<Span>,
    /// The body is this; a template.
    pub body_equals: Option<Located<String>>,
    /// The body has this in it; a template.
    pub body_contains: Option<Located<String>>,
    /// The body does not have this in it; a template.
    pub body_lacks: Option<Located<String>>,
    /// The body matches this regular expression somewhere.
    pub body_matches: Option<Located<String>>,
    /// Of the value that a JSONPath finds.
    pub json: Option<Located<String>>,
    /// Of a header.
    pub header: Option<Located<String>>,
    /// Of a cookie that the answer sets.
    pub cookie: Option<Located<String>>,
    /// Of what a regular expression finds in the body.
    pub regex: Option<Located<String>>,
    /// The value is this; a template, so a captured value can stand here. `null` is the null of
    /// JSON and of SQL.
    #[serde(deserialize_with = "or_null")]
    pub equals: Option<Located<String>>,
    /// The value is there and is not this; a template, or `null`.
    #[serde(deserialize_with = "or_null")]
    pub differs: Option<Located<String>>,
    /// The value has this in it; a template.
    pub contains: Option<Located<String>>,
    /// The value matches this regular expression somewhere.
    pub matches: Option<Located<String>>,
    /// The value is a number above this.
    pub above: Option<Located<Amount>>,
    /// The value is a number below this.
    pub below: Option<Located<Amount>>,
    /// The value is there, or is not. Null is there.
    pub exists: Option<bool>,
}

/// A text, also where the file says `null`, which elsewhere means that nothing is said.
struct TextOrNull(String);

impl<'de> Deserialize<'de> for TextOrNull {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = TextOrNull;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or null")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TextOrNull, E> {
                Ok(TextOrNull(text.to_owned()))
            }

            fn visit_unit<E: Error>(self) -> Result<TextOrNull, E> {
                Ok(TextOrNull("null".to_owned()))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

fn or_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Located<String>>, D::Error> {
    let Located { place, value: TextOrNull(value) } = Located::deserialize(deserializer)?;
    Ok(Some(Located { place, value }))
}
