//! The scenario format: what can be written. The JSON Schema is made of these types, and
//! docs/scenarios.md explains them with examples. [`super::build`] turns them into a plan.

mod check;
mod fault;
mod flow;
mod grpc;
mod http;
mod ledger;
mod postgres;
mod probe;
mod redis;
mod stage;
mod tcp;

use std::collections::BTreeMap;

use faultd_api::Span;
use schemars::JsonSchema;
use serde::Deserialize;

pub use check::{CheckFile, ExtractFile};
pub use fault::{FaultFile, PhaseFile, PhaseKindFile};
pub use flow::{FlowFile, RetryFile, StepFile};
pub use grpc::{GrpcDefaultsFile, GrpcFile};
pub use http::{HttpFile, StreamFile, VersionFile};
pub use ledger::{LedgerFile, NoteFile};
pub use postgres::{PostgresDefaultsFile, PostgresFile};
pub use probe::ProbeFile;
pub use redis::{RedisDefaultsFile, RedisFile, RedisStepFile, WordsFile};
pub use stage::{ShapeFile, StageFile};
pub use tcp::TcpFile;

use super::read::{Amount, Located, Ordered, Place, TextOr};

/// A scenario: what is sent, when, which faults happen meanwhile, and what is asked of the result.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Name of the run.
    pub name: Located<String>,
    /// What it is about, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// Words that `--only` and `--skip` choose by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Variables and their values, put in where `${NAME}` stands; `--var NAME=VALUE` overrides.
    /// Without a value it has to be given.
    #[serde(default)]
    #[expect(dead_code, reason = "put in before the types are read; here for the schema")]
    pub vars: BTreeMap<String, Option<Amount>>,
    /// Where requests go whose URL is a path alone: `http://127.0.0.1:8080`.
    #[serde(default)]
    pub target: Option<Located<String>>,
    /// What all HTTP requests have in common.
    #[serde(default)]
    pub http: DefaultsFile,
    /// What all calls over gRPC have in common.
    #[serde(default)]
    pub grpc: GrpcDefaultsFile,
    /// What all commands for Redis have in common.
    #[serde(default)]
    pub redis: RedisDefaultsFile,
    /// What all queries for PostgreSQL have in common.
    #[serde(default)]
    pub postgres: PostgresDefaultsFile,
    /// Data sets: `{{NAME.COLUMN}}` in flows.
    #[serde(default)]
    pub data: Ordered<Located<TextOr<DataFile>>>,
    /// Done once before the load; what it extracts, all flows have.
    #[serde(default)]
    pub setup: Vec<Located<StepFile>>,
    /// Done once after the load, whatever happened.
    #[serde(default)]
    pub teardown: Vec<Located<StepFile>>,
    /// How the writes that steps note are read back after the load.
    #[serde(default)]
    pub ledger: Option<Located<LedgerFile>>,
    /// What users do.
    pub flows: Ordered<Located<FlowFile>>,
    /// When they do it: one stage after the other.
    pub stages: Located<Vec<Located<StageFile>>>,
    /// Faults on a timeline of their own.
    #[serde(default)]
    pub faults: Vec<Located<FaultFile>>,
    /// Parts of the run that are reported on their own. Without them the faults make them:
    /// baseline, fault, recovery.
    #[serde(default)]
    pub phases: Vec<Located<PhaseFile>>,
    /// A small steady stream of requests that sees outages, whatever the load.
    #[serde(default)]
    pub probe: Option<Located<ProbeFile>>,
    /// What is asked of the numbers: `p95 < 500ms`.
    #[serde(default)]
    pub thresholds: Vec<Located<TextOr<ThresholdFile>>>,
    /// What the generator may use.
    #[serde(default)]
    pub limits: LimitsFile,
    /// Seed of all random decisions [default: drawn, and reported].
    #[serde(default)]
    pub seed: Option<u64>,
}

/// What all HTTP requests have in common.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DefaultsFile {
    /// Headers of every request that does not have them itself.
    pub headers: Ordered<Located<String>>,
    /// How long an answer may take [default: 30s].
    pub timeout: Option<Span>,
    /// Version of HTTP [default: 1.1].
    pub version: Option<VersionFile>,
    /// Take any TLS certificate.
    pub insecure: bool,
    /// Certificates in PEM of the authorities that TLS trusts, in place of the public ones;
    /// relative to the scenario.
    pub ca: Option<Located<String>>,
    /// This client's certificate in PEM, for servers that ask for one; with `key`.
    pub cert: Option<Located<String>>,
    /// Its private key in PEM.
    pub key: Option<Located<String>>,
    /// Unix socket that requests go through.
    pub socket: Option<String>,
}

/// A data set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// A .csv file with a line of names at its top, or a .json file with an array of objects;
    /// relative to the scenario.
    pub file: String,
    /// Which row a run of a flow gets.
    #[serde(default)]
    pub order: OrderFile,
}

/// Which row a run of a flow gets.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OrderFile {
    /// The next one; from the top again after the last.
    #[default]
    Sequential,
    /// Any.
    Random,
    /// Always the same for one user.
    PerUser,
}

/// A threshold with options.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdFile {
    /// The expression: `error_ratio < 5%`.
    pub check: Located<String>,
    /// Ends the run when it is broken.
    #[serde(default)]
    pub abort: bool,
    /// Not before this much of the run [default: 10s].
    #[serde(default)]
    pub after: Option<Span>,
}

/// What the generator may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsFile {
    /// Threads that send [default: one a processor].
    pub workers: Option<Located<u32>>,
    /// Flows under way at once, in stages with a rate [default: 10000].
    pub in_flight: Option<Located<u32>>,
    /// How long what is under way may take to end after the last stage; what is left then is
    /// interrupted, which is no failure [default: 30s].
    pub grace: Option<Span>,
    /// Longest body kept for checks and extraction, and longest message of gRPC that is taken
    /// [default: 4MiB].
    pub body: Option<Located<Amount>>,
}

impl ScenarioFile {
    /// Where its flows are.
    pub fn flows_place(&self) -> Place {
        self.flows.0.first().map_or(self.name.place, |(name, _)| name.place)
    }
}
