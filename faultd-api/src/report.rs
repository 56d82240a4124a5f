//! Everything else the daemon reports: plans, capabilities, events.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Fault, Kind, Target};

/// `GET /v1/faults`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultList {
    /// Oldest first.
    pub faults: Vec<Fault>,
}

/// `POST /v1/plan`: what a request would do, without doing it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Which fault.
    pub kind: Kind,
    /// What it would hit, as resolved.
    pub target: Target,
    /// The backend that would serve it, and why that one.
    pub backend: String,
    /// Why that one.
    pub backend_reason: String,
    /// What would be done, in order.
    pub steps: Vec<PlanStep>,
    /// What is alive now and would be hit.
    pub hits: Hits,
    /// Safety rails that apply.
    pub rails: Vec<String>,
    /// What to know about the result.
    pub notes: Vec<String>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanStep {
    /// What is done.
    pub apply: String,
    /// How it is taken back: by the kernel when the daemon goes, or by the
    /// undo journal.
    pub undo: String,
}

/// The live sockets and processes that a fault meets. A plan lists at most 200
/// of each, a fault at most 5; all are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hits {
    /// Sockets; those that listen first, then those that talk.
    pub sockets: Vec<HitSocket>,
    /// How many there are in all.
    pub socket_count: usize,
    /// Processes, where the target names some.
    pub processes: Vec<HitProcess>,
    /// How many there are in all.
    pub process_count: usize,
}

/// A socket that a fault meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HitSocket {
    /// `tcp` or `udp`.
    pub proto: String,
    /// As in ss(8): `ESTAB`, `LISTEN`, …
    pub state: String,
    /// Local address and port.
    pub local: String,
    /// Remote address and port.
    pub remote: String,
    /// A process that holds it (there may be more); absent where none does, or
    /// none was found in the time that an injection may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<HitProcess>,
}

/// A process that a fault meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HitProcess {
    /// Process id.
    pub pid: u32,
    /// Command name.
    pub comm: String,
    /// Owner.
    pub uid: u32,
}

/// `GET /v1/explain?…`: which faults a flow or process meets, in the order in
/// which they act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explain {
    /// What was asked about.
    pub target: Target,
    /// The faults that it meets.
    pub rules: Vec<ExplainRule>,
    /// What they do together, in words.
    pub effect: String,
}

/// One fault that a flow meets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainRule {
    /// The fault.
    pub id: String,
    /// Its kind.
    pub kind: Kind,
    /// What it does to the flow, in words.
    pub effect: String,
    /// Whether all of what was asked about meets it, or only a part.
    pub covers: String,
}

/// `GET /v1/capabilities`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// `uname -r`.
    pub kernel: String,
    /// What each kind can use here.
    pub kinds: Vec<KindCapability>,
    /// Host facts that backends build on (`tcx`, `tun`, `fq`, …).
    pub features: Vec<BackendStatus>,
    /// What dead daemons left on this host.
    #[serde(default)]
    pub left_behind: Vec<Leftover>,
}

/// Something that a dead daemon left on this host and that nothing will take
/// back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leftover {
    /// What it is and where.
    pub what: String,
    /// The command that removes it; absent for what goes with something else
    /// that was left.
    pub remove: Option<String>,
}

/// What one kind can use on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindCapability {
    /// The kind.
    pub kind: Kind,
    /// Its backends, best first.
    pub backends: Vec<BackendStatus>,
}

/// Probed, never taken from a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackendStatus {
    /// Backend or feature.
    pub name: String,
    /// Whether it works here.
    pub support: Support,
    /// Why not, or what was found.
    pub detail: String,
}

/// A capability has three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// It works.
    Yes,
    /// This host lacks it.
    No,
    /// The kernel has it and refused it.
    Refused,
}

/// `GET /v1/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `ok`, or `degraded` when undo entries could not be replayed.
    pub status: String,
    /// The daemon's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// The guardian's process id, while it lives.
    pub guardian_pid: Option<u32>,
    /// Faults in force.
    pub active: usize,
    /// What is wrong, when something is.
    pub problems: Vec<String>,
}

/// `GET /v1/events`: one server-sent event, also a line of `faultctl events --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Counts up by one; a gap means the reader was too slow.
    pub seq: u64,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What happened.
    pub event: EventKind,
    /// The fault, as it was right after.
    pub fault: Fault,
}

/// What can happen to a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// Accepted and planned.
    Planned,
    /// In force.
    Active,
    /// Its lease was confirmed.
    Confirmed,
    /// Over.
    Ended,
}
