//! What one stream of probes has seen.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use super::{Outages, Probed};
use crate::{
    measure::{growing, record},
    schedule::SECOND,
    summary::{Latency, ProbeStream},
};

/// Most failed probes whose times are kept.
const MOST_FAILED: usize = 500_000;

/// What one stream has seen.
#[derive(Debug)]
pub struct Seen {
    /// When its first probe was due.
    first: u64,
    sent: u64,
    ok: u64,
    /// From due to answered.
    latency: Histogram<u64>,
    /// Its outages.
    pub outages: Outages,
    /// Answered and not, by the second in which they were due.
    pub seconds: Vec<(u32, u32)>,
    /// When those that failed were due.
    failed: Vec<u64>,
}

impl Seen {
    /// Nothing yet; the first probe is due at `first`.
    #[must_use]
    pub fn new(first: u64) -> Self {
        Self {
            first,
            sent: 0,
            ok: 0,
            latency: growing(),
            outages: Outages::default(),
            seconds: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn add(&mut self, probed: Probed) {
        self.sent += 1;
        let second = usize::try_from(probed.due / SECOND).unwrap_or(usize::MAX);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, (0, 0));
        }
        let counts = &mut self.seconds[second];
        if probed.failure.is_none() {
            self.ok += 1;
            counts.0 += 1;
            record(&mut self.latency, probed.end.saturating_sub(probed.due));
        } else {
            counts.1 += 1;
            if self.failed.len() < MOST_FAILED {
                self.failed.push(probed.due);
            }
        }
        self.outages.add(probed);
    }

    /// Probes that were due in a stretch of time.
    pub(super) fn due_within(&self, start: u64, end: u64, every: u64) -> u64 {
        let before = |time: u64| time.saturating_sub(self.first).div_ceil(every).min(self.sent);
        before(end).saturating_sub(before(start))
    }

    /// Those of them that failed.
    pub(super) fn failed_within(&self, start: u64, end: u64) -> u64 {
        let before = |time: u64| self.failed.partition_point(|&due| due < time);
        (before(end) - before(start)) as u64
    }

    pub(super) fn summary(&self) -> ProbeStream {
        let (longest, total) = self.outages.lengths();
        ProbeStream {
            sent: self.sent,
            ok: self.ok,
            availability_ratio: (self.sent > 0).then(|| self.ok as f64 / self.sent as f64),
            longest_outage_s: longest as f64 / 1e9,
            downtime_s: total as f64 / 1e9,
            outages: self.outages.list(),
            latency: Latency::of(&self.latency),
        }
    }
}

/// Results in the order in which probes were due, whatever order they end in.
#[derive(Debug)]
pub struct Order {
    seen: Seen,
    /// Number of the first probe in `waiting`.
    next: u64,
    waiting: VecDeque<Option<Probed>>,
}

impl Order {
    /// Nothing yet; the first probe is due at `first`.
    #[must_use]
    pub fn new(first: u64) -> Self {
        Self { seen: Seen::new(first), next: 0, waiting: VecDeque::new() }
    }

    /// All that was seen.
    #[must_use]
    pub fn into_seen(self) -> Seen {
        self.seen
    }

    /// The probe of that number came to its end.
    pub fn ended(&mut self, number: u64, probed: Probed) {
        let at = usize::try_from(number - self.next).unwrap_or(usize::MAX);
        if self.waiting.len() <= at {
            self.waiting.resize(at + 1, None);
        }
        self.waiting[at] = Some(probed);
        while let Some(probed) = self.waiting.pop_front_if(|first| first.is_some()).flatten() {
            self.next += 1;
            self.seen.add(probed);
        }
    }
}
