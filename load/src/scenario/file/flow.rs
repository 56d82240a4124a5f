//! What users do.

use faultd_api::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{CheckFile, ExtractFile, GrpcFile, HttpFile};
use crate::scenario::read::{Located, OneOrMany, Ordered, TextOr};

/// Steps, one after the other; a step that fails ends the run of the flow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowFile {
    /// The steps.
    pub steps: Located<Vec<Located<StepFile>>>,
    /// How often it is run beside other flows, where a stage has no mix of its own [default: 1].
    #[serde(default)]
    pub weight: Option<Located<f64>>,
    /// Users keep their connections from one run to the next [default: true].
    #[serde(default = "yes")]
    pub keep_connections: bool,
    /// Users keep what they extracted from one run to the next [default: false].
    #[serde(default)]
    pub keep_variables: bool,
    /// A pause after each run: `1s`, or `1s..3s` drawn evenly.
    #[serde(default)]
    pub think: Option<Located<String>>,
}

fn yes() -> bool {
    true
}

/// One request (`http`, `grpc`, `tcp`) or a pause, and what is expected of the answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    /// Its name; unique in its flow [default: what it sends, such as `GET /items`].
    #[serde(default)]
    pub name: Option<Located<String>>,
    /// An HTTP request: `GET /items`, or its parts.
    #[serde(default)]
    pub http: Option<Located<TextOr<HttpFile>>>,
    /// A call over gRPC: `shop.v1.Cart/Add`, or its parts.
    #[serde(default)]
    pub grpc: Option<Located<TextOr<GrpcFile>>>,
    /// Bytes over TCP.
    #[serde(default)]
    pub tcp: Option<Located<TcpFile>>,
    /// No request, a pause alone: `1s`, or `1s..3s`.
    #[serde(default)]
    pub pause: Option<Located<String>>,
    /// How long the answer may take.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// Statuses that are a success [default: 200-399, of gRPC `OK`].
    #[serde(default)]
    pub expect: Option<Located<OneOrMany>>,
    /// Values taken out of the answer: `token: $.token`.
    #[serde(default)]
    pub extract: Ordered<Located<TextOr<ExtractFile>>>,
    /// What must hold for the answer.
    #[serde(default)]
    pub checks: Vec<Located<CheckFile>>,
    /// When it fails: how often again.
    #[serde(default)]
    pub retry: Option<Located<TextOr<RetryFile>>>,
    /// A pause after it: `1s`, or `1s..3s`.
    #[serde(default)]
    pub think: Option<Located<String>>,
    /// How often it is done in a row [default: 1].
    #[serde(default)]
    pub repeat: Option<Located<u32>>,
    /// The flow goes on when it has failed.
    #[serde(default)]
    pub may_fail: bool,
}

/// What to do when a step has failed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryFile {
    /// Further attempts.
    pub attempts: u32,
    /// Before each of them [default: none].
    #[serde(default)]
    pub pause: Option<Span>,
}

/// Bytes over TCP or a Unix socket.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpFile {
    /// `HOST:PORT`, or `unix:/path/to.sock`.
    pub address: Located<String>,
    /// What is sent; a template.
    #[serde(default)]
    pub send: Located<String>,
    /// The answer ends with this; without it no answer is awaited.
    #[serde(default)]
    pub until: String,
}
