//! `loss`: packets are dropped.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gemodel::GeModel;
use crate::{Invalid, Target, invalid::percent};

/// Parameters of `loss`: exactly one of percent, gemodel and every.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct LossParams {
    /// Share of packets to drop, in percent
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERCENT", allow_negative_numbers = true))]
    pub percent: Option<f64>,
    /// How likely a packet meets the fate of the one before it, in percent
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PERCENT", allow_negative_numbers = true))]
    pub correlation: Option<f64>,
    /// Gilbert-Elliott model, in percent: p,r[,1-h[,1-k]] as in tc-netem(8)
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "P,R[,1-H[,1-K]]", allow_hyphen_values = true)
    )]
    pub gemodel: Option<GeModel>,
    /// Drop every N-th packet
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", allow_negative_numbers = true))]
    pub every: Option<u32>,
}

impl LossParams {
    pub(super) fn validate(&self, _: &Target) -> Result<(), Invalid> {
        let given = [self.percent.is_some(), self.gemodel.is_some(), self.every.is_some()];
        match given.iter().filter(|g| **g).count() {
            1 => {}
            0 => {
                return Err(Invalid::new(
                    "percent",
                    "is missing: say --percent, --gemodel or --every",
                ));
            }
            _ => {
                return Err(Invalid::new(
                    "percent",
                    "cannot be combined: say one of --percent, --gemodel and --every",
                ));
            }
        }
        if let Some(p) = self.percent {
            percent("percent", p)?;
        }
        if let Some(model) = &self.gemodel {
            model.validate()?;
        }
        if self.every == Some(0) {
            return Err(Invalid::new("every", "must be at least 1, got 0"));
        }
        let Some(correlation) = self.correlation else { return Ok(()) };
        percent("correlation", correlation)?;
        if correlation >= 100.0 {
            return Err(Invalid::new(
                "correlation",
                "must be below 100: the first packet would decide for all",
            ));
        }
        if self.percent.is_none() {
            return Err(Invalid::new("correlation", "goes with --percent only"));
        }
        Ok(())
    }

    /// The share of packets that the model loses in the long run, in percent.
    pub(super) fn requested(&self, measured: &str) -> Option<f64> {
        if measured != "percent" {
            return None;
        }
        if let Some(model) = &self.gemodel {
            return Some(model.long_run_percent());
        }
        if let Some(every) = self.every {
            return Some(100.0 / f64::from(every));
        }
        self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_has_a_share_in_the_long_run() {
        let percent = |params: LossParams| params.requested("percent").unwrap();
        assert_eq!(percent(LossParams { percent: Some(30.0), ..LossParams::default() }), 30.0);
        assert_eq!(percent(LossParams { every: Some(4), ..LossParams::default() }), 25.0);
        // Bad a quarter of the time, losing 80 % then and 4 % otherwise.
        let model = "10,30,80,4".parse().unwrap();
        let gilbert = LossParams { gemodel: Some(model), ..LossParams::default() };
        assert!((percent(gilbert) - 23.0).abs() < 1e-9);
        assert_eq!(LossParams::default().requested("ms_p50"), None);
    }
}
