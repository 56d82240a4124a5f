//! The availability probe.

use faultd_api::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{CheckFile, GrpcFile, HttpFile, PostgresFile, RedisStepFile, TcpFile};
use crate::scenario::read::{Located, OneOrMany, TextOr};

/// The availability probe: one request (`http`, `grpc`, `tcp`, `redis`, `postgres`), written as in
/// a step, and what is expected of the answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeFile {
    /// An HTTP request: `GET /health`, or its parts.
    #[serde(default)]
    pub http: Option<Located<TextOr<HttpFile>>>,
    /// A call over gRPC: `grpc.health.v1.Health/Check`, or its parts.
    #[serde(default)]
    pub grpc: Option<Located<TextOr<GrpcFile>>>,
    /// Bytes over TCP.
    #[serde(default)]
    pub tcp: Option<Located<TcpFile>>,
    /// A command for Redis: `PING`, or its parts.
    #[serde(default)]
    pub redis: Option<Located<RedisStepFile>>,
    /// A query for PostgreSQL: `SELECT 1`, or its parts.
    #[serde(default)]
    pub postgres: Option<Located<TextOr<PostgresFile>>>,
    /// Time between two probes of one kind (fresh connection, kept connection) [default: 20ms].
    #[serde(default)]
    pub every: Option<Located<Span>>,
    /// A probe without an answer by then has failed [default: 1s].
    #[serde(default)]
    pub timeout: Option<Span>,
    /// Statuses that are a success [default: 200-399, of gRPC `OK`].
    #[serde(default)]
    pub expect: Option<Located<OneOrMany>>,
    /// What must hold for the answer; one that it does not hold for counts as none.
    #[serde(default)]
    pub checks: Vec<Located<CheckFile>>,
}
