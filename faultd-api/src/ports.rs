//! Sets of ports: `80`, `80,443`, `8000-8099`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Invalid;

/// The most ranges one set may hold after merging; the data plane's limit.
pub const MAX_RANGES: usize = 16;

/// Ports `low..=high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// First port of the range.
    pub low: u16,
    /// Last port of the range, included.
    pub high: u16,
}

/// A non-empty set of ports, sorted, without overlaps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortSet(Vec<PortRange>);

impl PortSet {
    /// The set of one port.
    pub fn single(port: u16) -> Self {
        Self(vec![PortRange { low: port, high: port }])
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[PortRange] {
        &self.0
    }

    /// Whether the port is in the set.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|r| r.low <= port && port <= r.high)
    }

    fn as_single(&self) -> Option<u16> {
        match self.0.as_slice() {
            [one] if one.low == one.high => Some(one.low),
            _ => None,
        }
    }
}

/// `part` is what was typed, of which `text` is one end.
fn parse_port(text: &str, part: &str) -> Result<u16, Invalid> {
    match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Invalid::new("port", format!("takes ports between 1 and 65535, got {part:?}"))),
    }
}

impl FromStr for PortSet {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (low, high) = match part.split_once('-') {
                Some((low, high)) => (parse_port(low, part)?, parse_port(high, part)?),
                None => (parse_port(part, part)?, parse_port(part, part)?),
            };
            if low > high {
                return Err(Invalid::new("port", format!("range {part:?} runs backwards")));
            }
            ranges.push(PortRange { low, high });
        }
        ranges.sort_unstable();
        let mut merged: Vec<PortRange> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if u32::from(range.low) <= u32::from(last.high) + 1 => {
                    last.high = last.high.max(range.high);
                }
                _ => merged.push(range),
            }
        }
        if merged.len() > MAX_RANGES {
            return Err(Invalid::new(
                "port",
                format!(
                    "takes at most {MAX_RANGES} ranges, got {}; inject a second fault",
                    merged.len()
                ),
            ));
        }
        Ok(Self(merged))
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}", range.low)?;
            if range.high != range.low {
                write!(f, "-{}", range.high)?;
            }
        }
        Ok(())
    }
}

impl Serialize for PortSet {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.as_single() {
            Some(port) => s.serialize_u16(port),
            None => s.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for PortSet {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a port, or ports such as \"80,8000-8099\"")]
        enum Wire {
            One(i64),
            Text(String),
        }
        let text = match Wire::deserialize(d)? {
            Wire::One(port) => port.to_string(),
            Wire::Text(text) => text,
        };
        text.parse().map_err(|e: Invalid| serde::de::Error::custom(e.message))
    }
}

impl JsonSchema for PortSet {
    fn schema_name() -> Cow<'static, str> {
        "PortSet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                {"type": "string", "pattern": "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"}
            ],
            "description": "A port, or a list of ports and ranges: 8080, \"80,8000-8099\".",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_and_sorts() {
        let set: PortSet = "90,80-85,84-88,89".parse().unwrap();
        assert_eq!(set.to_string(), "80-90");
        assert!(set.contains(80) && set.contains(90) && !set.contains(91));
    }

    #[test]
    fn refuses_what_is_no_port() {
        for text in ["", "0", "65536", "-1", "9-8", "a", "80,", "1-", "1 2"] {
            assert!(text.parse::<PortSet>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn one_port_is_a_number_in_json() {
        assert_eq!(serde_json::to_string(&PortSet::single(8080)).unwrap(), "8080");
        assert_eq!(serde_json::from_str::<PortSet>("\"80,90\"").unwrap().to_string(), "80,90");
        assert!(serde_json::from_str::<PortSet>("70000").is_err());
    }
}
