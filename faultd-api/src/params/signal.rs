//! Signals by name: those that `kill` may send.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Invalid;

/// Names and numbers of signal(7), the numbers of every architecture but
/// Alpha, MIPS, PA-RISC and SPARC. Those that stop a process are not among
/// them: nothing would ever continue it.
const SIGNALS: [(&str, i32); 26] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("SYS", 31),
];

/// Names and numbers of the signals that stop a process.
const STOPPING: [(&str, i32); 4] = [("STOP", 19), ("TSTP", 20), ("TTIN", 21), ("TTOU", 22)];

/// A signal that may be sent: `TERM`, also typed `SIGTERM`, `term` or `15`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalName {
    name: &'static str,
    number: i32,
}

impl SignalName {
    /// Ends a process, whatever it does.
    pub const KILL: Self = Self { name: "KILL", number: 9 };
    /// Asks a process to end.
    pub const TERM: Self = Self { name: "TERM", number: 15 };

    /// The name, without `SIG`.
    pub const fn as_str(self) -> &'static str {
        self.name
    }

    /// The number, as kill(2) takes it.
    pub const fn number(self) -> i32 {
        self.number
    }
}

impl FromStr for SignalName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let upper = text.to_ascii_uppercase();
        let wanted = upper.strip_prefix("SIG").unwrap_or(&upper);
        let is_it =
            |(name, number): &&(&str, i32)| *name == wanted || wanted.parse() == Ok(*number);
        if let Some(&(name, number)) = SIGNALS.iter().find(is_it) {
            return Ok(Self { name, number });
        }
        if STOPPING.iter().any(|s| is_it(&s)) {
            let message = format!("{text:?} would stop processes for good; use the fault `pause`");
            return Err(Invalid::new("signal", message));
        }
        let known: Vec<_> = SIGNALS.iter().map(|(name, _)| *name).collect();
        Err(Invalid::new("signal", format!("takes one of {}, got {text:?}", known.join(", "))))
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl Serialize for SignalName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for SignalName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(|e: Invalid| serde::de::Error::custom(e.message))
    }
}

impl JsonSchema for SignalName {
    fn schema_name() -> Cow<'static, str> {
        "SignalName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = SIGNALS.iter().map(|(name, _)| *name).collect();
        json_schema!({
            "type": "string",
            "description": "A signal, without SIG.",
            "enum": names,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_type_one() {
        for text in ["TERM", "SIGTERM", "term", "sigterm", "15"] {
            assert_eq!(text.parse(), Ok(SignalName::TERM), "{text}");
        }
        assert_eq!("9".parse(), Ok(SignalName::KILL));
        for (name, number) in SIGNALS {
            let parsed: SignalName = name.parse().unwrap();
            assert_eq!((parsed.as_str(), parsed.number()), (name, number));
        }
    }

    #[test]
    fn what_stops_or_does_not_exist_is_refused() {
        for text in ["STOP", "19", "SIGTSTP"] {
            let error = text.parse::<SignalName>().unwrap_err().to_string();
            assert!(error.contains("`pause`"), "{error}");
        }
        for text in ["", "SIG", "0", "64", "NOPE", "-9"] {
            assert!(text.parse::<SignalName>().is_err(), "{text:?} was taken");
        }
    }
}
