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

    /// The quantile or mean of the delay that was asked for, in milliseconds.
    pub(super) fn requested(&self, measured: &str) -> Option<f64> {
        let shape = self.distribution.unwrap_or_default();
        let units = match (measured, shape) {
            ("ms_p50", _) => shape.quantile(0.5),
            ("ms_p99", _) => shape.quantile(0.99),
            ("ms_mean", _) => 0.0,
            ("ms_max", Distribution::Uniform) => 1.0,
            // The other shapes have tails: no largest delay is asked for.
            ("ms_max", _) if self.jitter_ms == 0.0 => 0.0,
            _ => return None,
        };
        Some((self.ms + self.jitter_ms * units).max(0.0))
    }
}

impl Distribution {
    /// The value below which a share `p` (0.5 or above) of the draws lies, in
    /// units of the jitter. The shapes are netem's: a Pareto variate of shape
    /// 3, centred and scaled as (x - 1.5) * 4/3, and the same point of the
    /// normal and the Pareto shape mixed one to three.
    fn quantile(self, p: f64) -> f64 {
        let pareto = || ((1.0 - p).powf(-1.0 / 3.0) - 1.5) * 4.0 / 3.0;
        match self {
            Self::Uniform => 2.0 * p - 1.0,
            Self::Normal => upper_normal_quantile(p),
            Self::Pareto => pareto(),
            Self::Paretonormal => 0.25 * upper_normal_quantile(p) + 0.75 * pareto(),
        }
    }
}

/// Quantile of the standard normal distribution for p in [0.5, 1), off by less
/// than 4.5e-4 (Abramowitz and Stegun, Handbook of Mathematical Functions,
/// 26.2.23).
fn upper_normal_quantile(p: f64) -> f64 {
    if p <= 0.5 {
        return 0.0;
    }
    let t = (-2.0 * (1.0 - p).ln()).sqrt();
    t - (2.515_517 + 0.802_853 * t + 0.010_328 * t * t)
        / (1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t * t * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requested_figures_follow_the_shape() {
        let params = |jitter_ms, distribution| LatencyParams {
            ms: 100.0,
            jitter_ms,
            distribution,
            correlation: None,
        };
        let close = |params: &LatencyParams, measured: &str, expected: f64| {
            let requested = params.requested(measured).unwrap();
            assert!((requested - expected).abs() < 0.01, "{measured}: {requested}");
        };
        let plain = params(0.0, None);
        for measured in ["ms_p50", "ms_p99", "ms_mean", "ms_max"] {
            close(&plain, measured, 100.0);
        }
        close(&params(10.0, None), "ms_p99", 109.8);
        close(&params(10.0, None), "ms_max", 110.0);
        close(&params(10.0, Some(Distribution::Normal)), "ms_p50", 100.0);
        close(&params(10.0, Some(Distribution::Normal)), "ms_p99", 123.26);
        close(&params(10.0, Some(Distribution::Pareto)), "ms_p50", 96.80);
        close(&params(10.0, Some(Distribution::Pareto)), "ms_p99", 141.89);
        close(&params(10.0, Some(Distribution::Paretonormal)), "ms_p50", 97.60);
        assert_eq!(params(10.0, Some(Distribution::Normal)).requested("ms_max"), None);
        assert_eq!(plain.requested("percent"), None);
    }
}
