//! A fault: as it is asked for, and as the daemon reports it.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DEFAULT_FOR, Hits, Invalid, Kind, Params, Span, Target, unique};

/// The body of `POST /v1/faults` and `POST /v1/plan` as it stands on the wire.
///
/// Turn it into a [`FaultRequest`] with [`RawRequest::check`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRequest {
    /// Which fault.
    pub kind: Kind,
    /// Its parameters; see the schema of the kind.
    #[serde(default = "empty_object", deserialize_with = "unique::value")]
    pub params: serde_json::Value,
    /// What it hits.
    #[serde(default)]
    pub target: Target,
    /// How long [default: 60s].
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// Free text shown in lists, at most 200 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Seed of the fault's random decisions [default: drawn by the daemon].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Insist on one backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The fault ends unless it is confirmed within this time, again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Span>,
    /// Lift the safety rails (needs the policy's permission).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

fn empty_object() -> serde_json::Value {
    serde_json::json!({})
}

impl RawRequest {
    /// Types the parameters and checks every value.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(self) -> Result<FaultRequest, Invalid> {
        let request = FaultRequest {
            params: Params::from_json(self.kind, self.params)?,
            target: self.target,
            duration: self.duration.unwrap_or(DEFAULT_FOR),
            label: self.label,
            seed: self.seed,
            backend: self.backend,
            lease: self.lease,
            force: self.force,
        };
        request.validate()?;
        Ok(request)
    }
}

/// A well-formed request for a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRequest {
    /// Kind and parameters.
    pub params: Params,
    /// What it hits.
    pub target: Target,
    /// How long.
    pub duration: Span,
    /// Free text.
    pub label: Option<String>,
    /// Seed of random decisions.
    pub seed: Option<u64>,
    /// Backend insisted on.
    pub backend: Option<String>,
    /// Confirm-within.
    pub lease: Option<Span>,
    /// Lift the rails.
    pub force: bool,
}

/// No deadline may lie further away than this, whatever the policy says.
const MAX_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

impl FaultRequest {
    /// Which fault.
    pub fn kind(&self) -> Kind {
        self.params.kind()
    }

    /// Checks every value that can be checked without a host.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.params.validate(&self.target)?;
        self.target.validate()?;
        if self.duration.get() < Duration::from_millis(1) || self.duration.get() > MAX_FOR {
            return Err(Invalid::new(
                "for",
                format!("must be between 1ms and 30days, got {}", self.duration),
            ));
        }
        if let Some(lease) = self.lease
            && (lease.get() < Duration::from_millis(100) || lease > self.duration)
        {
            return Err(Invalid::new(
                "lease",
                format!("must be between 100ms and --for ({}), got {lease}", self.duration),
            ));
        }
        if let Some(label) = &self.label
            && (label.is_empty() || label.len() > 200 || label.chars().any(char::is_control))
        {
            return Err(Invalid::new("label", "takes 1 to 200 bytes of plain text"));
        }
        Ok(())
    }

    /// The request as it goes over the wire.
    pub fn to_raw(&self) -> RawRequest {
        RawRequest {
            kind: self.kind(),
            params: serde_json::to_value(&self.params).unwrap_or_else(|_| empty_object()),
            target: self.target.clone(),
            duration: Some(self.duration),
            label: self.label.clone(),
            seed: self.seed,
            backend: self.backend.clone(),
            lease: self.lease,
            force: self.force,
        }
    }
}

/// Where a fault is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Targets resolved, backend chosen.
    Planned,
    /// Undo written, being applied.
    Applying,
    /// In force.
    Active,
    /// Being taken back.
    Reverting,
    /// Over.
    Ended,
}

/// Why a fault is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its time was up.
    Expired,
    /// It did all that it was asked to do before its time was up.
    Completed,
    /// Somebody reverted it.
    Reverted,
    /// Its lease was not confirmed in time.
    LeaseLost,
    /// The daemon stopped.
    DaemonExit,
    /// It could not be applied.
    Failed,
}

/// Who asked for a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// User id, from SO_PEERCRED.
    pub uid: u32,
}

/// What a fault met and what it did to it; further counters by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
    /// How many packets (calls, processes) the target matched.
    pub matched: u64,
    /// How many of them the fault changed.
    pub affected: u64,
    /// What else the kind counts (`dropped`, `delayed`, `overflow`, …).
    #[serde(flatten)]
    pub more: BTreeMap<String, u64>,
}

/// What was really achieved, in the units of the parameters
/// (`ms_p50`, `ms_p99`, `percent`).
pub type Achieved = BTreeMap<String, f64>;

/// What became of a process that a fault acted on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessOutcome {
    /// Process id.
    pub pid: u32,
    /// Command name.
    pub comm: String,
    /// Milliseconds from the first signal to its end; `null` while it lives.
    pub ended_ms: Option<f64>,
    /// Whether it outlived its grace period and was killed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needed_kill: bool,
    /// Milliseconds from its end until another process had taken its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_ms: Option<f64>,
    /// The process that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<u32>,
}

/// A fault as the daemon reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// `f-` and six characters.
    pub id: String,
    /// Which fault.
    pub kind: Kind,
    /// Its parameters.
    pub params: serde_json::Value,
    /// What it hits.
    pub target: Target,
    /// Where it is in its life.
    pub state: State,
    /// What serves it.
    pub backend: String,
    /// Free text.
    pub label: Option<String>,
    /// Seed of its random decisions.
    pub seed: u64,
    /// Who asked for it.
    pub owner: Owner,
    /// When it was asked for.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it ends at the latest.
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// When it came into force.
    #[schemars(with = "Option<String>")]
    pub active_at: Option<Timestamp>,
    /// When it was over.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
    /// Why it is over.
    pub end_reason: Option<EndReason>,
    /// The error of a failed fault, or what could not be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Confirm-within, where there is a lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Span>,
    /// CLOCK_MONOTONIC when it came into force, in nanoseconds.
    pub active_mono_ns: Option<u64>,
    /// CLOCK_MONOTONIC when it was over, in nanoseconds: nothing is affected
    /// from then on, though taking down what it needed may take longer.
    pub ended_mono_ns: Option<u64>,
    /// What it met and did.
    pub counters: Counters,
    /// What was achieved.
    pub achieved: Achieved,
    /// The processes that it acted on one by one, at most 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessOutcome>,
    /// What was alive when it was injected and is hit, a few of each listed;
    /// what appears later is hit as well. Absent for kinds that cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<Hits>,
    /// In words: what to know about it (`inject` prints it).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
