//! HTTP requests.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::read::{Located, Ordered, Placed};

/// An HTTP request. One of `body`, `json`, `form` and `file` at most.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpFile {
    /// GET, POST, … [default: GET, or POST where there is a body].
    pub method: Option<Located<String>>,
    /// A path, which goes to `target`, or a whole URL; a template.
    pub url: Located<String>,
    /// Headers; their values are templates.
    pub headers: Ordered<Located<String>>,
    /// The body as text; a template.
    pub body: Option<Located<String>>,
    /// The body as JSON; its texts are templates.
    pub json: Option<Located<Placed>>,
    /// The body as a form; its values are templates.
    pub form: Option<Ordered<Located<String>>>,
    /// The body from a file, as it is; relative to the scenario.
    pub file: Option<Located<String>>,
    /// How the answer is cut into events whose times are measured.
    pub stream: Option<StreamFile>,
    /// Version of HTTP.
    pub version: Option<VersionFile>,
    /// Take any TLS certificate.
    pub insecure: Option<bool>,
    /// Unix socket that it goes through.
    pub socket: Option<String>,
}

/// How a streamed answer is cut into events.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamFile {
    /// Server-sent events, as inference servers send them.
    Sse,
    /// One for each piece that arrives.
    Chunks,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum VersionFile {
    /// HTTP/1.1.
    #[serde(rename = "1.1")]
    One,
    /// HTTP/2; without TLS with prior knowledge.
    #[serde(rename = "2")]
    Two,
}
