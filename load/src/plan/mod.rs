//! The compiled plan that the engine executes: plain data, with every name resolved.
//!
//! Scenario files and `faultload http` are two ways to make one.

mod arrival;
mod flow;
mod grpc;
mod ledger;
mod plain;
mod probe;
mod request;

use std::time::Duration;

pub use arrival::{Arrival, Stage};
pub use flow::{Flow, Retry, Step, Think};
pub use grpc::{GrpcRequest, GrpcSchema};
pub use ledger::{LedgerPlan, ReadBack, WriteNote};
pub use plain::{
    AnswerEnd, Param, PostgresRequest, PostgresServer, Query, RedisRequest, RedisServer, Security,
    TcpRequest,
};
pub use probe::ProbePlan;
pub use request::{
    Body, HttpRequest, HttpVersion, Request, Scheme, StatusRange, Streaming, Target, TlsFiles,
    Transport,
};

/// What is to be sent, when, and within which limits.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the run.
    pub name: String,
    /// The stages, one after the other.
    pub stages: Vec<Stage>,
    /// The flows that stages refer to by index.
    pub flows: Vec<Flow>,
    /// Run once before the first stage, one after the other; a failure ends the run.
    pub setup: Vec<Flow>,
    /// Run once after the last stage, whatever happened.
    pub teardown: Vec<Flow>,
    /// Bounds on what the generator uses.
    pub limits: Limits,
    /// How acknowledged writes are read back, where steps note them.
    pub ledger: Option<LedgerPlan>,
    /// Whom TLS trusts, and as whom this client shows itself.
    pub tls: TlsFiles,
    /// The availability probe, when there is one.
    pub probe: Option<ProbePlan>,
    /// Seeds the choice of flows, think times and random values.
    pub seed: u64,
}

impl Plan {
    /// How long the stages last together.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }
}

/// Bounds on what the generator uses.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Threads that send, each with its own event loop. `None`: one a processor that this process
    /// may use.
    pub workers: Option<usize>,
    /// Flows under way at once, in stages with a rate. What is due beyond it waits, and counts as
    /// late or skipped.
    pub in_flight: usize,
    /// How long what is under way may take to end after the last stage; what is left then is
    /// interrupted.
    pub grace: Duration,
    /// Longest body that is kept for checks and extraction, and longest message of gRPC that is
    /// taken, in bytes.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { workers: None, in_flight: 10_000, grace: Duration::from_secs(30), body: 4 << 20 }
    }
}
