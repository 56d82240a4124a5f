//! Counts and times of a set of requests: all of them, those of a flow, of a
//! step, of a phase.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Latency, WireError};

/// Counts and times of a set of requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// Requests that were due: what the plan asked for.
    pub due: u64,
    /// Of these, how many were sent (or failed to be: no connection).
    pub sent: u64,
    /// Of these, how many got the answer that was wanted.
    pub ok: u64,
    /// How many did not; why is in `errors`.
    pub failed: u64,
    /// Sent, and neither answered nor given up when the run ended.
    #[serde(default)]
    pub unfinished: u64,
    /// Sent more than a millisecond after they were due, for lack of anything
    /// (a connection, a user, the generator's own time).
    #[serde(default)]
    pub late: u64,
    /// Due and never sent.
    #[serde(default)]
    pub skipped: u64,
    /// Attempts beyond the first one of a request.
    #[serde(default)]
    pub retries: u64,
    /// Length of the time in which load was due, in seconds; waiting for the
    /// last answers is no part of it.
    pub duration_s: f64,
    /// Good answers, a second: `ok / duration_s`.
    pub rate: f64,
    /// `failed / (ok + failed)`; `null` when nothing was finished.
    pub error_ratio: Option<f64>,
    /// Failed requests by kind: `connect`, `reset`, `timeout`, `truncated`,
    /// `protocol`, `tls`, `status`, `check`, `extract`, and `local` ones.
    #[serde(default)]
    pub errors: BTreeMap<String, u64>,
    /// What one of the failed requests said, by kind, in at most 200
    /// characters. Steps of the whole run have it, sums and phases do not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub error_examples: BTreeMap<String, String>,
    /// The part of them that the generator's own host is to blame for, by kind:
    /// `descriptors` (EMFILE), `ports` (none left), `memory`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub local_errors: BTreeMap<String, u64>,
    /// Answers by status: HTTP status, gRPC status name, or the protocol's own
    /// error code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statuses: BTreeMap<String, u64>,
    /// Bytes written to sockets, before TLS.
    #[serde(default)]
    pub sent_bytes: u64,
    /// Bytes read from sockets, before TLS.
    #[serde(default)]
    pub received_bytes: u64,
    /// Connections.
    #[serde(default)]
    pub connections: Connections,
    /// From the moment a request was due to the end of its answer: of good
    /// answers, of time-outs and of unfinished requests, which took at least
    /// as long. What failed otherwise does not count, as failing fast is no
    /// merit.
    pub latency: Latency,
    /// The same of all that failed.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub failed_latency: Latency,
    /// From the moment it was sent to the end of its answer: what the service
    /// took, without waiting for a turn. Of the same requests.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub service_time: Latency,
    /// From the moment it was sent to the first byte of its answer.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub first_byte: Latency,
    /// Streamed answers, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
}

fn is_empty(latency: &Latency) -> bool {
    latency.count == 0
}

/// Connections of a set of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Opened.
    pub opened: u64,
    /// Tried and not opened.
    pub failed: u64,
    /// Requests that found one open.
    pub reused: u64,
}

/// Answers that arrive piece by piece: server-sent events, chunks, messages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stream {
    /// Events, chunks or messages received.
    pub events: u64,
    /// From the moment a request was due to its first event.
    pub first_event: Latency,
    /// Between one event and the next of the same answer.
    pub between_events: Latency,
    /// Tokens received, where the answers say or an event is one.
    #[serde(default)]
    pub tokens: u64,
    /// Tokens a second of one answer, mean over all answers.
    #[serde(default)]
    pub tokens_per_s: Option<f64>,
}

/// A flow and its steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// Times that it was run from its first step to its last.
    pub completed: u64,
    /// Times that it was given up because a step failed.
    pub aborted: u64,
    /// Times that the end of the load cut it: the requests in flight then were
    /// waited for, and no further step was begun.
    #[serde(default)]
    pub unfinished: u64,
    /// From its start to its end, completed ones alone.
    #[serde(default)]
    pub latency: Latency,
    /// Its requests taken together.
    pub total: Stats,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// A step: one request of a flow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its name; unique in its flow.
    pub name: String,
    /// What is known of its requests.
    #[serde(flatten)]
    pub stats: Stats,
}

impl Stats {
    /// Requests that came to an end, good or bad.
    pub fn finished(&self) -> u64 {
        self.ok + self.failed
    }

    /// Sets `rate` and `error_ratio` from the counts.
    pub fn settle(&mut self) {
        self.rate = if self.duration_s > 0.0 { self.ok as f64 / self.duration_s } else { 0.0 };
        let finished = self.finished();
        self.error_ratio = (finished > 0).then(|| self.failed as f64 / finished as f64);
    }

    /// What two processes that ran side by side measured together.
    ///
    /// # Errors
    /// If a histogram cannot be read.
    pub fn merged(&self, other: &Self) -> Result<Self, WireError> {
        let mut all = Self {
            due: self.due + other.due,
            sent: self.sent + other.sent,
            ok: self.ok + other.ok,
            failed: self.failed + other.failed,
            unfinished: self.unfinished + other.unfinished,
            late: self.late + other.late,
            skipped: self.skipped + other.skipped,
            retries: self.retries + other.retries,
            duration_s: self.duration_s.max(other.duration_s),
            rate: 0.0,
            error_ratio: None,
            errors: sum(&self.errors, &other.errors),
            error_examples: {
                let mut all = other.error_examples.clone();
                all.extend(self.error_examples.clone());
                all
            },
            local_errors: sum(&self.local_errors, &other.local_errors),
            statuses: sum(&self.statuses, &other.statuses),
            sent_bytes: self.sent_bytes + other.sent_bytes,
            received_bytes: self.received_bytes + other.received_bytes,
            connections: Connections {
                opened: self.connections.opened + other.connections.opened,
                failed: self.connections.failed + other.connections.failed,
                reused: self.connections.reused + other.connections.reused,
            },
            latency: self.latency.merged(&other.latency)?,
            failed_latency: self.failed_latency.merged(&other.failed_latency)?,
            service_time: self.service_time.merged(&other.service_time)?,
            first_byte: self.first_byte.merged(&other.first_byte)?,
            stream: match (&self.stream, &other.stream) {
                (Some(a), Some(b)) => Some(a.merged(b)?),
                (a, b) => a.clone().or_else(|| b.clone()),
            },
        };
        all.settle();
        Ok(all)
    }
}

impl Stream {
    fn merged(&self, other: &Self) -> Result<Self, WireError> {
        let weighted =
            |stream: &Self| stream.tokens_per_s.map(|rate| (rate, stream.first_event.count as f64));
        let tokens_per_s = match (weighted(self), weighted(other)) {
            (Some((a, n)), Some((b, m))) if n + m > 0.0 => Some((a * n + b * m) / (n + m)),
            (a, b) => a.or(b).map(|(rate, _)| rate),
        };
        Ok(Self {
            events: self.events + other.events,
            first_event: self.first_event.merged(&other.first_event)?,
            between_events: self.between_events.merged(&other.between_events)?,
            tokens: self.tokens + other.tokens,
            tokens_per_s,
        })
    }
}

fn sum(a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut all = a.clone();
    for (key, count) in b {
        *all.entry(key.clone()).or_default() += count;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_adds_counts_and_keeps_ratios_true() {
        let part = |ok, failed, status: &str| Stats {
            due: ok + failed,
            sent: ok + failed,
            ok,
            failed,
            duration_s: 10.0,
            statuses: [(status.to_owned(), ok)].into(),
            ..Stats::default()
        };
        let both = part(90, 10, "200").merged(&part(100, 0, "201")).unwrap();
        assert_eq!((both.ok, both.failed, both.rate), (190, 10, 19.0));
        assert_eq!(both.error_ratio, Some(0.05));
        assert_eq!(both.statuses, [("200".to_owned(), 90), ("201".to_owned(), 100)].into());
    }

    #[test]
    fn nothing_finished_has_no_error_ratio() {
        let mut none = Stats::default();
        none.settle();
        assert_eq!((none.rate, none.error_ratio), (0.0, None));
    }
}
