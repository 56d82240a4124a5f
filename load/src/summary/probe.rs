//! The probe: a small steady stream of requests that judges availability
//! whatever the load is doing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Latency;

/// A probe and what it saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// Probes a second, both streams together.
    pub rate: f64,
    /// A new connection each time: what a new client sees.
    pub fresh: ProbeStream,
    /// One connection kept open: what a connected client sees.
    pub pooled: ProbeStream,
}

/// One of its streams.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeStream {
    /// Probes sent.
    pub sent: u64,
    /// Probes answered as wanted.
    pub ok: u64,
    /// `ok / sent`; `null` when none was sent.
    pub availability_ratio: Option<f64>,
    /// The longest outage, in seconds; 0 when there was none.
    pub longest_outage_s: f64,
    /// All outages taken together, in seconds.
    pub downtime_s: f64,
    /// The outages, at most 1000, in order.
    #[serde(default)]
    pub outages: Vec<Outage>,
    /// From the moment a probe was due to its answer; answered ones alone.
    #[serde(default)]
    pub latency: Latency,
}

/// A time in which no probe was answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outage {
    /// When the first probe that failed was due.
    pub start_s: f64,
    /// When the first answer after it arrived; `null`: none did.
    pub end_s: Option<f64>,
    /// Probes that failed.
    pub failed: u64,
    /// What went wrong with the first of them: `connect: Connection refused (os error 111)`.
    #[serde(default)]
    pub reason: Option<String>,
}
