//! `pause`: processes stand still and go on afterwards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Invalid, Target};

/// `pause` takes no parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct PauseParams {}

impl PauseParams {
    #[expect(clippy::unused_self, reason = "every kind validates through the same call")]
    pub(super) fn validate(&self, target: &Target) -> Result<(), Invalid> {
        target.validate_as_processes()
    }

    #[expect(clippy::unused_self, reason = "every kind answers through the same call")]
    pub(super) fn requested(&self, measured: &str) -> Option<f64> {
        (measured == "percent").then_some(100.0)
    }
}
