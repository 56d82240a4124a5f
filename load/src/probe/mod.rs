//! What the availability probe has seen: a pure state machine from answers to outages.
//!
//! The engine does the asking, on a thread apart from the load. Two streams, fifty probes a second
//! each: one opens a connection each time, as a new client would, the other keeps its connections.
//! Probes do not wait for each other; what they see is told in the order in which they were due.

mod outages;
mod seen;

pub use outages::{Outages, Probed};
pub use seen::{Order, Seen};

use crate::summary::{Probe, Second};

/// All that a probe has seen.
#[derive(Debug)]
pub struct Observed {
    /// A new connection each time.
    pub fresh: Seen,
    /// A connection kept open.
    pub pooled: Seen,
    /// Nanoseconds between two probes of a stream.
    pub every: u64,
}

impl Observed {
    /// Of a run that ended at `end`, as its clock has it.
    #[must_use]
    pub fn new(fresh: Seen, pooled: Seen, every: u64, end: u64) -> Self {
        let mut observed = Self { fresh, pooled, every };
        observed.fresh.outages.finish(end);
        observed.pooled.outages.finish(end);
        observed
    }

    /// Notes in each row of the timeline what was seen.
    pub fn note_in(&self, timeline: &mut [Second]) {
        let last = timeline.len().saturating_sub(1);
        for (at, row) in timeline.iter_mut().enumerate() {
            for seen in [&self.fresh, &self.pooled] {
                // One may be due at the very end, when there is no further row.
                let from = (row.t_s as usize).min(seen.seconds.len());
                let until = if at == last { seen.seconds.len() } else { from + 1 };
                for &(ok, failed) in seen.seconds.get(from..until).unwrap_or_default() {
                    row.probes_ok += u64::from(ok);
                    row.probes_failed += u64::from(failed);
                }
            }
        }
    }

    /// As results show it.
    #[must_use]
    pub fn summary(&self, name: &str) -> Probe {
        let rate = 2.0 * 1e9 / self.every.max(1) as f64;
        let (fresh, pooled) = (self.fresh.summary(), self.pooled.summary());
        Probe { name: name.to_owned(), rate, fresh, pooled }
    }

    /// What was seen in a stretch of time: the share of probes that were answered and the longest
    /// outage in seconds, of the stream that fared worse. The service is there when it is there for
    /// a new client and for a connected one. `None`: no probe was due in it.
    #[must_use]
    pub fn within(&self, start: u64, end: u64) -> Option<(f64, f64)> {
        let streams = [&self.fresh, &self.pooled];
        let ratio = |seen: &&Seen| {
            let due = seen.due_within(start, end, self.every);
            let failed = seen.failed_within(start, end);
            (due > 0).then(|| due.saturating_sub(failed) as f64 / due as f64)
        };
        let worst = streams.iter().filter_map(ratio).reduce(f64::min)?;
        let longest = streams.iter().map(|seen| seen.outages.longest_within(start, end)).max();
        Some((worst, longest.unwrap_or(0) as f64 / 1e9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten probes, one every ten, the first `failed` of which fail.
    fn stream(failed: u64) -> Seen {
        let mut order = Order::new(0);
        for number in 0..10 {
            let due = number * 10;
            let failure = (number < failed).then(|| "refused".to_owned());
            order.ended(number, Probed { due, end: due + 1, failure });
        }
        order.into_seen()
    }

    #[test]
    fn the_stream_that_fares_worse_is_what_counts() {
        let observed = Observed::new(stream(5), stream(1), 10, 100);
        assert_eq!(observed.within(0, 100).unwrap().0, 0.5);
        assert_eq!(observed.within(50, 100).unwrap().0, 1.0);
        assert!(observed.within(200, 300).is_none());
    }
}
