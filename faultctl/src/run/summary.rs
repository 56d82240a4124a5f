//! What a run did, for people and as JSON.

use std::ffi::OsString;

use faultd_api::SyscallParams;
use serde::Serialize;

use super::{decide::Counts, serve::Ended, spec::FaultSpec};

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The command, as far as it is text.
    pub command: Vec<String>,
    /// Its status, if it has one.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Seed of the random decisions.
    pub seed: u64,
    /// Each fault, in the order in which they were typed.
    pub faults: Vec<FaultSummary>,
}

/// What one fault did.
#[derive(Debug, Serialize)]
pub struct FaultSummary {
    #[serde(skip)]
    text: String,
    kind: &'static str,
    params: SyscallParams,
    counters: Counts,
    /// Share of the calls that were hit, in percent; absent if there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    achieved_percent: Option<f64>,
}

impl Summary {
    /// Puts it together.
    pub fn new(
        command: &[OsString],
        ended: Ended,
        seed: u64,
        specs: Vec<FaultSpec>,
        counts: impl Iterator<Item = Counts>,
    ) -> Self {
        let (exit_code, signal) = match ended {
            Ended::Exited(code) => (Some(code), None),
            Ended::Signaled(signal) => (None, Some(signal as i32)),
        };
        let fault = |(spec, counters): (FaultSpec, Counts)| FaultSummary {
            text: spec.text,
            kind: "syscall",
            params: spec.params,
            counters,
            achieved_percent: (counters.matched > 0)
                .then(|| 100.0 * counters.affected as f64 / counters.matched as f64),
        };
        let command = command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let faults = specs.into_iter().zip(counts).map(fault).collect();
        Self { command, exit_code, signal, seed, faults }
    }

    /// A line a fault.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.faults.iter().map(|fault| {
            let Counts { matched, failed, delayed, unreadable, .. } = fault.counters;
            let mut parts = vec![format!("{matched} calls seen")];
            if fault.params.errno.is_some() {
                parts.push(format!("{failed} failed"));
            }
            if fault.params.delay_ms.is_some() {
                parts.push(format!("{delayed} delayed"));
            }
            if unreadable > 0 {
                parts.push(format!("{unreadable} with unreadable paths passed"));
            }
            let seed = match fault.params.percent {
                Some(_) => format!(" (seed {})", self.seed),
                None => String::new(),
            };
            format!("faultctl run: {}: {}{seed}", fault.text, parts.join(", "))
        })
    }
}
