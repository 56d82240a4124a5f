//! `partition`: no packet of the target passes, in either direction.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Invalid, Target};

/// `partition` takes no parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct PartitionParams {}

impl PartitionParams {
    #[expect(clippy::unused_self, reason = "every kind validates through the same call")]
    pub(super) fn validate(&self, _: &Target) -> Result<(), Invalid> {
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "every kind answers through the same call")]
    pub(super) fn requested(&self, measured: &str) -> Option<f64> {
        (measured == "percent").then_some(100.0)
    }
}
