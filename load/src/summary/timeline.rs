//! The run a second at a time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One second of a run: what was due, sent and finished in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Second {
    /// Seconds since the start of the run, at the start of this one.
    pub t_s: u32,
    /// Length in seconds: 1, and less for the last one.
    pub length_s: f64,
    /// Requests that were due.
    pub due: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Good answers that arrived.
    pub ok: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Due and never sent.
    #[serde(default)]
    pub skipped: u64,
    /// Sent late.
    #[serde(default)]
    pub late: u64,
    /// Users at work at the end of the second (closed stages).
    #[serde(default)]
    pub users: u32,
    /// Requests without an answer at the end of the second.
    #[serde(default)]
    pub in_flight: u64,
    /// Connections open at the end of the second.
    #[serde(default)]
    pub connections: u64,
    /// Latency of what finished in it, in milliseconds, as in
    /// [`super::Stats::latency`].
    #[serde(default)]
    pub p50_ms: Option<f64>,
    /// 90 % of them.
    #[serde(default)]
    pub p90_ms: Option<f64>,
    /// 95 % of them.
    #[serde(default)]
    pub p95_ms: Option<f64>,
    /// 99 % of them.
    #[serde(default)]
    pub p99_ms: Option<f64>,
    /// The longest.
    #[serde(default)]
    pub max_ms: Option<f64>,
    /// The mean.
    #[serde(default)]
    pub mean_ms: Option<f64>,
    /// Failed requests by kind, as in [`super::Stats::errors`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// Bytes written.
    #[serde(default)]
    pub sent_bytes: u64,
    /// Bytes read.
    #[serde(default)]
    pub received_bytes: u64,
    /// Probes answered.
    #[serde(default)]
    pub probes_ok: u64,
    /// Probes not answered.
    #[serde(default)]
    pub probes_failed: u64,
    /// Processor time of the generator, of one processor.
    #[serde(default)]
    pub cpu_percent: f64,
    /// 99 % of the requests were turned to within this after they were due.
    #[serde(default)]
    pub lag_p99_ms: Option<f64>,
}
