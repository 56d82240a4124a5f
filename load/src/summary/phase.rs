//! Phases of a run and the faults that cut it into them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Flow, Stats};

/// What a phase is for.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PhaseKind {
    /// Before any fault.
    Baseline,
    /// While at least one fault is in force.
    Fault,
    /// After one.
    Recovery,
    /// Named by the scenario, for what it likes.
    #[default]
    Other,
}

/// A part of the run, with figures of its own. Requests belong to the phase in
/// which they were due.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// Its name; unique in the run.
    pub name: String,
    /// What it is for.
    pub kind: PhaseKind,
    /// Its start, in seconds since the start of the run. Where a fault cuts,
    /// the moment at which the daemon confirmed it.
    pub start_s: f64,
    /// Its end.
    pub end_s: f64,
    /// What the load did.
    pub total: Stats,
    /// The same, a flow and a step at a time.
    #[serde(default)]
    pub flows: Vec<Flow>,
    /// Share of probes that were answered, 0 to 1, of the stream (new
    /// connections or kept ones) that fared worse; `null` without a probe.
    #[serde(default)]
    pub availability_ratio: Option<f64>,
    /// The longest time without a probe answered, in seconds.
    #[serde(default)]
    pub longest_outage_s: Option<f64>,
}

/// A fault as it was planned and as it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultRecord {
    /// The daemon's id for it; empty when it was never injected.
    pub id: String,
    /// Kind (`latency`).
    pub kind: String,
    /// In the words of the command line: `latency --ms 500 --port 8080`.
    pub text: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// When it was to start.
    pub planned_start_s: f64,
    /// When it was to end.
    pub planned_end_s: f64,
    /// When it came into force, by the daemon; `null`: never.
    pub start_s: Option<f64>,
    /// When nothing was affected by it any more, by the daemon.
    pub end_s: Option<f64>,
    /// Why it ended (`expired`, `reverted`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it met and did.
    #[serde(default)]
    pub counters: BTreeMap<String, u64>,
    /// What it achieved (`ms_p50`).
    #[serde(default)]
    pub achieved: BTreeMap<String, f64>,
    /// From its end (of one that is done in an instant, such as a kill: from
    /// its start) to the first probe that was answered and had no outage after
    /// it, in seconds; 0 when nothing was down. `null`: not recovered when the
    /// run ended, or no probe.
    #[serde(default)]
    pub recovery_s: Option<f64>,
}
