//! `kill`: processes get a signal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{pick::Pick, signal::SignalName};
use crate::{Invalid, Span, Target};

/// Parameters of `kill`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct KillParams {
    /// Signal to send [default: KILL; TERM with --grace]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub signal: Option<SignalName>,
    /// Which of the target's processes: all, one, a number, or a share such as 50% [default: all]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "all|one|N|P%"))]
    pub pick: Option<Pick>,
    /// Ask first (TERM), and send KILL to those that are still there after DUR
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", arg(long, value_name = "DUR", allow_hyphen_values = true))]
    pub grace: Option<Span>,
}

impl KillParams {
    /// The signal that is sent first.
    pub fn first_signal(&self) -> SignalName {
        let otherwise = if self.grace.is_some() { SignalName::TERM } else { SignalName::KILL };
        self.signal.unwrap_or(otherwise)
    }

    pub(super) fn validate(&self, target: &Target) -> Result<(), Invalid> {
        target.validate_as_processes()?;
        if let Some(pick) = self.pick {
            pick.validate()?;
        }
        if self.grace.is_some() && self.signal == Some(SignalName::KILL) {
            return Err(Invalid::new("grace", "asks before it kills; leave out --signal KILL"));
        }
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "every kind answers through the same call")]
    pub(super) fn requested(&self, _: &str) -> Option<f64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_asks_where_there_is_a_grace_period() {
        let grace = Some(Span::from_secs(10));
        assert_eq!(KillParams::default().first_signal(), SignalName::KILL);
        let asking = KillParams { grace, ..KillParams::default() };
        assert_eq!(asking.first_signal(), SignalName::TERM);
        let signal = "SIGQUIT".parse().ok();
        let quitting = KillParams { signal, grace, ..KillParams::default() };
        assert_eq!(quitting.first_signal().as_str(), "QUIT");
        let target = Target { pid: vec![7], ..Target::default() };
        assert_eq!(quitting.validate(&target), Ok(()));
        let signal = Some(SignalName::KILL);
        assert!(KillParams { signal, grace, ..KillParams::default() }.validate(&target).is_err());
    }

    #[test]
    fn names_processes_and_nothing_of_the_network() {
        let kill = KillParams::default();
        let nothing = kill.validate(&Target::default()).unwrap_err().to_string();
        assert!(nothing.starts_with("--pid is missing: say --pid, --name"), "{nothing}");
        let port = Target { pid: vec![7], port: "80".parse().ok(), ..Target::default() };
        let text = kill.validate(&port).unwrap_err().to_string();
        assert!(text.starts_with("--port "), "{text}");
    }
}
