//! When flows start.

use faultd_api::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::read::{Amount, Located, Ordered, TextOr};

/// A stretch of the run with one kind of arrivals: `rate`, `users` or `pause`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageFile {
    /// Its name [default: stage-1, stage-2, …].
    #[serde(default)]
    pub name: Option<Located<String>>,
    /// How long it lasts; shapes with times of their own (`steps`, `spike`) say it themselves.
    #[serde(default, rename = "for")]
    pub duration: Option<Located<Span>>,
    /// Flows started a second, whatever became of earlier ones: `100/s`.
    #[serde(default)]
    pub rate: Option<Located<TextOr<ShapeFile>>>,
    /// Users, each of whom starts a flow when its last one has ended: `50`.
    #[serde(default)]
    pub users: Option<Located<TextOr<ShapeFile>>>,
    /// Nothing is sent.
    #[serde(default)]
    pub pause: bool,
    /// The one flow that is run.
    #[serde(default)]
    pub flow: Option<Located<String>>,
    /// Flows and their weights [default: all, by their own weights].
    #[serde(default)]
    pub mix: Option<Ordered<Located<f64>>>,
}

/// How a rate or a number of users goes over time: a ramp (`from`, `to`), steps (`from`, `to`,
/// `by`, `every`, or `values`, `every`) or a spike (`base`, `peak`, `rise`, `hold`, `fall`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShapeFile {
    /// First value of a ramp or of steps.
    pub from: Option<Located<Amount>>,
    /// Last value.
    pub to: Option<Located<Amount>>,
    /// Height of a step.
    pub by: Option<Located<Amount>>,
    /// The steps, one by one.
    pub values: Option<Located<Vec<Located<Amount>>>>,
    /// Length of a step.
    pub every: Option<Located<Span>>,
    /// Value before and after a spike.
    pub base: Option<Located<Amount>>,
    /// Value at its top.
    pub peak: Option<Located<Amount>>,
    /// Time before it, at the base.
    pub before: Option<Located<Span>>,
    /// Time of its rise [default: at once].
    pub rise: Option<Located<Span>>,
    /// Time at its top.
    pub hold: Option<Located<Span>>,
    /// Time of its fall [default: at once].
    pub fall: Option<Located<Span>>,
    /// Time after it, at the base.
    pub after: Option<Located<Span>>,
}
