//! The job description in the initramfs, and the event lines on the second serial port.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// Where the payload disk is mounted in the guest.
pub const PAYLOAD: &str = "/faultd";

/// The job description in the initramfs: each boot has its own, and they share the disks.
pub const JOB_FILE: &str = "/job.json";

/// Prefix of every event line, so that anything else on the port is recognised as noise.
pub const EVENT_PREFIX: &str = "@faultd ";

/// All that one boot is to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Job {
    /// Host name of the guest.
    pub hostname: String,
    /// Environment of every task, in addition to a minimal `PATH` and `HOME`.
    pub env: BTreeMap<String, String>,
    /// What to run, one after the other.
    pub tasks: Vec<Task>,
}

/// One process to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What results are reported under.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// After this many milliseconds the process group is killed.
    pub timeout_ms: u64,
    /// Whether output is reported as it comes, not only its tail at the end.
    pub stream: bool,
}

/// One line on the second serial port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The guest is up.
    Booted {
        /// `uname -r`.
        release: String,
        /// Milliseconds since the kernel started.
        uptime_ms: u64,
    },
    /// A task begins.
    Started {
        /// Its name.
        name: String,
    },
    /// Output of a task that streams.
    Output {
        /// The text, invalid UTF-8 replaced.
        text: String,
    },
    /// A task ended.
    Done {
        /// Its name.
        name: String,
        /// How it ended.
        outcome: Outcome,
    },
    /// The guest itself could not do its work.
    Broken {
        /// Why.
        error: String,
    },
    /// All tasks ran. The last line.
    End,
}

impl Event {
    /// The event as a line, newline included.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Strings and integers with string keys always serialise.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{EVENT_PREFIX}{json}\n")
    }

    /// Reads a line; `None` if it is not an event.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        let (_, json) = line.split_once(EVENT_PREFIX)?;
        serde_json::from_str(json.trim_end()).ok()
    }
}

/// What a test says about itself, in a line of its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remark {
    /// `SKIPPED: reason`: it cannot run here.
    Skipped(String),
    /// `LEFT TO THE VM TIER: reason`: the guests run it.
    LeftToVm(String),
}

impl Remark {
    /// Finds the remark in the output of a test. libtest writes `test NAME ... ` in front of the
    /// first line that a test prints.
    #[must_use]
    pub fn find(output: &str) -> Option<Self> {
        output.lines().find_map(|line| {
            Self::after(line, "SKIPPED:")
                .map(Self::Skipped)
                .or_else(|| Self::after(line, "LEFT TO THE VM TIER:").map(Self::LeftToVm))
        })
    }

    fn after(line: &str, marker: &str) -> Option<String> {
        let (before, reason) = line.split_once(marker)?;
        let before = before.trim_end();
        (before.is_empty() || before.ends_with("...")).then(|| reason.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_serial_port() {
        let event = Event::Done {
            name: "net::latency".into(),
            outcome: Outcome {
                code: Some(101),
                ms: 12,
                output: "a\nb\u{1b}".into(),
                ..Outcome::default()
            },
        };
        let line = event.to_line();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(Event::from_line(&line), Some(event.clone()));
        assert_eq!(Event::from_line(&format!("noise {}\r\n", line.trim_end())), Some(event));
        assert_eq!(Event::from_line("[    1.0] random kernel line"), None);
        assert_eq!(Event::from_line("@faultd {\"done\":{\"na"), None);
    }

    #[test]
    fn remarks_are_found_behind_the_prefix_of_libtest() {
        let skipped = |reason: &str| Some(Remark::Skipped(reason.into()));
        assert_eq!(Remark::find("x\nSKIPPED: no fq here\nok"), skipped("no fq here"));
        assert_eq!(Remark::find("test edt ... SKIPPED: no fq"), skipped("no fq"));
        assert_eq!(
            Remark::find("LEFT TO THE VM TIER: no netem"),
            Some(Remark::LeftToVm("no netem".into()))
        );
        assert_eq!(Remark::find("the word SKIPPED: in a sentence"), None);
        assert_eq!(Remark::find("test result: ok"), None);
    }
}
