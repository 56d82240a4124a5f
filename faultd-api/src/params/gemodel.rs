//! The Gilbert-Elliott loss model, written as tc-netem(8) writes it.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Invalid;

/// Transition and loss probabilities in percent: a two-state Markov chain
/// (Gilbert 1960, Elliott 1963), stepped once a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeModel {
    /// From the good to the bad state.
    pub p: f64,
    /// From the bad to the good state (netem's default: 100 - p).
    pub r: f64,
    /// Loss in the bad state (default 100).
    pub one_minus_h: f64,
    /// Loss in the good state (default 0).
    pub one_minus_k: f64,
}

impl GeModel {
    /// Share of packets lost in the long run, in percent: the chain is in the
    /// bad state p/(p+r) of the time.
    pub fn long_run_percent(&self) -> f64 {
        let bad = self.p / (self.p + self.r);
        bad * self.one_minus_h + (1.0 - bad) * self.one_minus_k
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        for (name, value, low) in [
            ("p", self.p, true),
            ("r", self.r, true),
            ("1-h", self.one_minus_h, false),
            ("1-k", self.one_minus_k, false),
        ] {
            let above = if low { value > 0.0 } else { value >= 0.0 };
            if !above || value.is_nan() || value > 100.0 {
                let bound = if low { "above 0" } else { "at least 0" };
                return Err(Invalid::new(
                    "gemodel",
                    format!("{name} must be {bound} and at most 100, got {value}"),
                ));
            }
        }
        Ok(())
    }
}

impl FromStr for GeModel {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong =
            || Invalid::new("gemodel", format!("takes p,r[,1-h[,1-k]] in percent, got {text:?}"));
        let parts = text
            .split(',')
            .map(|part| part.trim().trim_end_matches('%').parse::<f64>().map_err(|_| wrong()))
            .collect::<Result<Vec<_>, _>>()?;
        let (p, rest) = parts.split_first().ok_or_else(wrong)?;
        if rest.len() > 3 {
            return Err(wrong());
        }
        let at = |i: usize, default: f64| rest.get(i).copied().unwrap_or(default);
        Ok(Self { p: *p, r: at(0, 100.0 - p), one_minus_h: at(1, 100.0), one_minus_k: at(2, 0.0) })
    }
}

impl fmt::Display for GeModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.p, self.r, self.one_minus_h, self.one_minus_k)
    }
}

impl Serialize for GeModel {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GeModel {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(|e: Invalid| serde::de::Error::custom(e.message))
    }
}

impl JsonSchema for GeModel {
    fn schema_name() -> Cow<'static, str> {
        "GilbertElliott".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "p,r[,1-h[,1-k]] in percent, as in tc-netem(8).",
            "examples": ["5,30", "1,10,70,0.1"],
        })
    }
}
