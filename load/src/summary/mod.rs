//! What a run found: `summary.json`, and nothing else than that.
//!
//! The engine fills these types, every report is drawn from them alone, and
//! they are public interface: a field keeps its name, unit and meaning, new
//! ones may appear. `faultload schema summary` prints their JSON Schema.
//!
//! Units are in the names: `_s` seconds, `_ms` milliseconds, `_bytes` bytes,
//! `_ratio` a share from 0 to 1, `_percent` one from 0 to 100. Points in time
//! are seconds since the start of the run, whose wall-clock time is
//! [`Summary::started_at`].
//!
//! Invariants:
//! - [`Stats::due`] = [`Stats::sent`] + [`Stats::skipped`], and
//!   [`Stats::sent`] = [`Stats::ok`] + [`Stats::failed`] + [`Stats::unfinished`].
//! - A latency is counted from the moment a request was due, unless the name
//!   says otherwise.
//! - Absent is not zero: what was not measured is `null` or left out.

mod causes;
mod latency;
mod merge;
mod outcome;
mod phase;
mod probe;
mod stats;
mod timeline;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use causes::{example, with_kind};
pub use latency::{Latency, NANOS_PER_MS, WireError, histogram};
pub use merge::{MergeError, merged};
pub use outcome::{
    CheckResult, DuplicatedWrite, Ledger, LostWrite, ThresholdResult, Verdict, VerdictKind,
};
pub use phase::{FaultRecord, Phase, PhaseKind};
pub use probe::{Outage, Probe, ProbeStream};
pub use stats::{Connections, Flow, Stats, Step, Stream};
pub use timeline::Second;

/// The format that this build writes; one that reads another says so.
pub const VERSION: u32 = 1;

/// The result of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Version of this format: 1.
    pub version: u32,
    /// `faultload` and its version.
    pub tool: String,
    /// What was run.
    pub scenario: ScenarioInfo,
    /// Where it was run.
    pub host: HostInfo,
    /// Wall-clock time of the start, RFC 3339 (`2026-11-21T10:00:00.000Z`).
    pub started_at: String,
    /// Length of the measured part, in seconds: from the first request that was
    /// due to the end of the last one.
    pub duration_s: f64,
    /// Whether it passed, and why not.
    pub verdict: Verdict,
    /// Whether the generator was fit to judge.
    pub fitness: Fitness,
    /// Everything that the load did.
    pub total: Stats,
    /// The same, a flow and a step at a time.
    pub flows: Vec<Flow>,
    /// The same, a phase at a time, in order; a run without phases has one.
    pub phases: Vec<Phase>,
    /// The faults that were injected, in order of their start.
    #[serde(default)]
    pub faults: Vec<FaultRecord>,
    /// The probe streams, which see availability independently of the load.
    #[serde(default)]
    pub probes: Vec<Probe>,
    /// What was asked of the numbers, and whether they gave it.
    #[serde(default)]
    pub thresholds: Vec<ThresholdResult>,
    /// What was asked of each answer.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// Acknowledged writes, read back after the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
    /// One entry a second.
    pub timeline: Vec<Second>,
}

/// What was run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioInfo {
    /// Its name.
    pub name: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The file it was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What the load was aimed at, without credentials.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Its stages, in words: how long, and how much load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<String>,
    /// Variables that were set on the command line.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// Seed of every random decision of the run.
    #[serde(default)]
    pub seed: u64,
    /// By how much times were scaled; 1 is the scenario as written.
    #[serde(default = "one")]
    pub scale: f64,
}

fn one() -> f64 {
    1.0
}

/// Where it was run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostInfo {
    /// Release of the kernel.
    pub kernel: String,
    /// Processors that the generator could use.
    pub cpus: u32,
    /// Threads that sent load.
    pub workers: u32,
}

/// Whether the generator kept up with what it was asked for. If not, every
/// other number says something about the generator and not about the target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fitness {
    /// Whether the run may be judged.
    pub fit: bool,
    /// Why not: one sentence each, with numbers.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What deserves a look and does not make the run invalid.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// From the moment a request was due to the moment its worker turned to it.
    #[serde(default)]
    pub lag: Latency,
    /// Processor time used by the busiest worker, as a share of one processor.
    pub busiest_worker_percent: f64,
    /// Processor time of the process, in seconds.
    pub cpu_s: f64,
    /// Largest resident size of the process.
    pub peak_memory_bytes: u64,
    /// Most descriptors open at once.
    pub peak_descriptors: u64,
    /// What the descriptor limit allows.
    pub descriptor_limit: u64,
}
