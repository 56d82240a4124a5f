//! What users do.

use faultd_api::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    CheckFile, ExtractFile, GrpcFile, HttpFile, NoteFile, PostgresFile, RedisStepFile, TcpFile,
};
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

/// One request (`http`, `grpc`, `tcp`, `redis`, `postgres`) or a pause, and what is expected of the
/// answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    /// Its name; unique in its flow [default: what it sends, such as `GET /items`].
    #[serde(default)]
    pub name: Option<Located<String>>,
    /// Variables that are made before the request is sent: `id: "{{random.uuid}}"`. They are the
    /// same in all attempts of it.
    #[serde(default)]
    pub set: Ordered<Located<String>>,
    /// An HTTP request: `GET /items`, or its parts.
    #[serde(default)]
    pub http: Option<Located<TextOr<HttpFile>>>,
    /// A call over gRPC: `shop.v1.Cart/Add`, or its parts.
    #[serde(default)]
    pub grpc: Option<Located<TextOr<GrpcFile>>>,
    /// Bytes over TCP.
    #[serde(default)]
    pub tcp: Option<Located<TcpFile>>,
    /// A command for Redis: `GET key`, `[GET, key]`, or its parts.
    #[serde(default)]
    pub redis: Option<Located<RedisStepFile>>,
    /// A query for PostgreSQL: `SELECT 1`, or its parts.
    #[serde(default)]
    pub postgres: Option<Located<TextOr<PostgresFile>>>,
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
    /// It writes something: the key that it is read back by after the load (`ledger` at the top).
    #[serde(default)]
    pub ledger: Option<Located<TextOr<NoteFile>>>,
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
