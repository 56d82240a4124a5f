//! How many of the processes that match are meant.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Invalid, invalid::percent};

/// `all`, `one`, a number, or a share of those that match.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Pick {
    /// Every one.
    #[default]
    All,
    /// So many.
    Count(u32),
    /// So many percent of them.
    Percent(f64),
}

impl Pick {
    /// How many of `matching` processes: a share is rounded to the nearest
    /// whole, and is never less than one. `None` when there are fewer.
    pub fn of(self, matching: usize) -> Option<usize> {
        match self {
            Self::All => Some(matching),
            Self::Count(n) => usize::try_from(n).ok().filter(|n| *n <= matching),
            // Within 0 and `matching`, which is far below 2^52.
            Self::Percent(p) => {
                let share = (matching as f64 * p / 100.0).round() as usize;
                (matching > 0).then(|| share.clamp(1, matching))
            }
        }
    }

    pub(super) fn validate(self) -> Result<(), Invalid> {
        match self {
            Self::All => Ok(()),
            Self::Count(0) => Err(Invalid::new("pick", "must be at least 1, got 0")),
            Self::Count(_) => Ok(()),
            Self::Percent(p) => percent("pick", p),
        }
    }
}

impl FromStr for Pick {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(
                "pick",
                format!("takes all, one, a number or a share as 50%, got {text:?}"),
            )
        };
        let pick = match text {
            "all" => Self::All,
            "one" => Self::Count(1),
            _ => match text.strip_suffix('%') {
                Some(share) => Self::Percent(share.parse().map_err(|_| wrong())?),
                None => Self::Count(text.parse().map_err(|_| wrong())?),
            },
        };
        pick.validate()?;
        Ok(pick)
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.pad("all"),
            Self::Count(1) => f.pad("one"),
            Self::Count(n) => f.pad(&n.to_string()),
            Self::Percent(p) => f.pad(&format!("{p}%")),
        }
    }
}

impl Serialize for Pick {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pick {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(|e: Invalid| serde::de::Error::custom(e.message))
    }
}

impl JsonSchema for Pick {
    fn schema_name() -> Cow<'static, str> {
        "Pick".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "How many of the processes that match: all, one, a number, or a share.",
            "examples": ["all", "one", "3", "50%"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_type_and_writes_it_back() {
        for text in ["all", "one", "3", "50%", "12.5%"] {
            let pick: Pick = text.parse().unwrap();
            assert_eq!(pick.to_string(), text);
        }
        assert_eq!("1".parse(), Ok(Pick::Count(1)));
        for text in ["", "0", "none", "-1", "101%", "0%", "NaN%", "%", "1.5"] {
            assert!(text.parse::<Pick>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn shares_round_to_the_nearest_and_never_to_nobody() {
        let of = |text: &str, n| text.parse::<Pick>().unwrap().of(n);
        assert_eq!([of("50%", 4), of("50%", 5), of("1%", 5)], [Some(2), Some(3), Some(1)]);
        assert_eq!([of("100%", 5), of("all", 5), of("all", 0)], [Some(5), Some(5), Some(0)]);
        assert_eq!([of("3", 3), of("3", 2), of("50%", 0)], [Some(3), None, None]);
    }
}
