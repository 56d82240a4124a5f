//! `oom`: the kernel's out-of-memory killer picks a process of the target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Invalid, Target};

/// `oom` takes no parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct OomParams {}

impl OomParams {
    #[expect(clippy::unused_self, reason = "every kind validates through the same call")]
    pub(super) fn validate(&self, target: &Target) -> Result<(), Invalid> {
        target.validate_as_processes()
    }

    /// One kill is what is asked for; a group set to die together has more.
    #[expect(clippy::unused_self, reason = "every kind answers through the same call")]
    pub(super) fn requested(&self, measured: &str) -> Option<f64> {
        (measured == "oom_kills").then_some(1.0)
    }
}
