//! Faults and phases.

use faultd_api::{Kind, Span, Target};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::read::{Located, Placed};

/// A fault on the timeline: in the words of `faultctl inject` (`inject`), or in those of the API
/// (`kind`, `params`, `target`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultFile {
    /// When it starts, since the start of the run: `30s`, `0s`.
    pub at: Located<String>,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub duration: Located<Span>,
    /// The fault as `faultctl inject` takes it: `latency --ms 500 --port 8080`.
    #[serde(default)]
    pub inject: Option<Located<String>>,
    /// Which fault.
    #[serde(default)]
    pub kind: Option<Located<Kind>>,
    /// Its parameters; see its page in the catalogue.
    #[serde(default)]
    pub params: Option<Located<Placed>>,
    /// What it hits.
    #[serde(default)]
    pub target: Option<Located<Target>>,
    /// Name of it in reports.
    #[serde(default)]
    pub label: Option<Located<String>>,
    /// Seed of its random decisions [default: that of the run].
    #[serde(default)]
    pub seed: Option<u64>,
    /// Insist on one backend.
    #[serde(default)]
    pub backend: Option<String>,
    /// Ends by itself when the load tool is gone for this long [default: 5s].
    #[serde(default)]
    pub lease: Option<Located<Span>>,
    /// Lift the safety rails.
    #[serde(default)]
    pub force: bool,
}

/// A part of the run that is reported on its own; it lasts until the next one begins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseFile {
    /// Its name; thresholds say `phase.NAME.p95`.
    pub name: Located<String>,
    /// When it begins, since the start of the run: `0s`, `30s`.
    pub at: Located<String>,
    /// What it is for [default: by its name].
    #[serde(default)]
    pub kind: Option<PhaseKindFile>,
}

/// What a phase is for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PhaseKindFile {
    /// Before any fault.
    Baseline,
    /// During one.
    Fault,
    /// After one.
    Recovery,
    /// Anything else.
    Other,
}
