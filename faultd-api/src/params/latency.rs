//! `latency`: packets are held before they go on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Invalid, Target,
    invalid::{in_range, percent},
};

/// Bounds of `--ms` and `--jitter`, in milliseconds.
const MAX_MS: f64 = 60_000.0;
const MIN_MS: f64 = 0.01;

/// Shape of the jitter; the tables are netem's (iproute2, `netem/*.c`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Distribution {
    /// Evenly between `ms - jitter` and `ms + jitter`.
    #[default]
    Uniform,
    /// Gaussian with the jitter as standard deviation.
    Normal,
    /// Heavy upper tail (Pareto, shape 3).
    Pareto,
    /// A quarter normal, three quarters pareto.
    Paretonormal,
}

/// Parameters of `latency`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct LatencyParams {
    /// Delay in milliseconds, fractions allowed (0.01 to 60000)
    #[cfg_attr(feature = "cli", arg(long, value_name = "MS", allow_negative_numbers = true))]
    #[schemars(range(min = 0.01, max = 60000))]
    pub ms: f64,
    /// Jitter in milliseconds, around the delay
    #[serde(default)]
    #[cfg_attr(
        feature = "cli",
        arg(
            long = "jitter",
            value_name = "MS",
            default_value_t = 0.0,
            hide_default_value = true,
            allow_negative_numbers = true
        )
    )]
    #[schemars(range(min = 0, max = 60000))]
    pub jitter_ms: f64,
    /// Shape of the jitter [default: uniform]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHAPE"))]
    pub distribution: Option<Distribution>,
    /// How likely a packet repeats the jitter of the one before it, in percent
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERCENT", allow_negative_numbers = true))]
    pub correlation: Option<f64>,
}

impl LatencyParams {
    pub(super) fn validate(&self, _: &Target) -> Result<(), Invalid> {
        in_range("ms", self.ms, MIN_MS, MAX_MS)?;
        in_range("jitter_ms", self.jitter_ms, 0.0, MAX_MS)?;
        if let Some(p) = self.correlation {
            percent("correlation", p)?;
            if p >= 100.0 {
                return Err(Invalid::new(
                    "correlation",
                    "must be below 100: the jitter would never change",
                ));
            }
        }
        if self.jitter_ms == 0.0 {
            for (field, given) in [
                ("distribution", self.distribution.is_some()),
                ("correlation", self.correlation.is_some()),
            ] {
                if given {
                    return Err(Invalid::new(field, "shapes the jitter; add --jitter MS"));
                }
            }
        }
        Ok(())
    }
}
