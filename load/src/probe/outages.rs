//! From the results of probes to outages: a pure state machine, fed in the order in which the
//! probes were due.

use crate::summary::Outage;

/// Most outages that are kept one by one.
const MOST: usize = 1000;

/// How one probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// When it was due.
    pub due: u64,
    /// When it ended.
    pub end: u64,
    /// What went wrong; `None`: it was answered as wanted.
    pub failure: Option<String>,
}

/// An outage that may not be over.
#[derive(Debug, Clone)]
struct Open {
    start: u64,
    failed: u64,
    /// What went wrong first.
    reason: String,
    /// The earliest answer after its start; it ends there unless a probe that was due before fails.
    answered: Option<u64>,
}

/// An outage that is over, or that the run has ended in.
#[derive(Debug, Clone)]
struct Closed {
    start: u64,
    end: Option<u64>,
    failed: u64,
    reason: String,
}

/// The outages of one stream.
#[derive(Debug, Default)]
pub struct Outages {
    list: Vec<Closed>,
    open: Option<Open>,
    longest: u64,
    total: u64,
}

impl Outages {
    /// The next probe.
    pub fn add(&mut self, probed: Probed) {
        if let Some(open) = &mut self.open {
            match open.answered {
                Some(answered) if probed.due >= answered => self.close(),
                Some(answered) if probed.failure.is_none() => {
                    open.answered = Some(answered.min(probed.end));
                    return;
                }
                None if probed.failure.is_none() => {
                    open.answered = Some(probed.end);
                    return;
                }
                _ => {
                    open.failed += 1;
                    open.answered = None;
                    return;
                }
            }
        }
        if let Some(reason) = probed.failure {
            self.open = Some(Open { start: probed.due, failed: 1, reason, answered: None });
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        if let Some(end) = open.answered {
            self.note(open, end);
        }
    }

    fn note(&mut self, open: Open, until: u64) {
        let Open { start, failed, reason, answered: end } = open;
        let length = until.saturating_sub(start);
        self.longest = self.longest.max(length);
        self.total += length;
        if self.list.len() < MOST {
            self.list.push(Closed { start, end, failed, reason });
        }
    }

    /// The run ended at `end`: an outage that is not over lasted until then.
    pub fn finish(&mut self, end: u64) {
        if let Some(open) = self.open.take() {
            let until = open.answered.unwrap_or(end);
            self.note(open, until);
        }
    }

    /// Lengths in nanoseconds: of the longest one, of all together.
    #[must_use]
    pub fn lengths(&self) -> (u64, u64) {
        (self.longest, self.total)
    }

    /// The longest one's part in a stretch of time, in nanoseconds.
    #[must_use]
    pub fn longest_within(&self, start: u64, end: u64) -> u64 {
        let parts = self.list.iter().map(|outage| {
            outage.end.unwrap_or(end).min(end).saturating_sub(outage.start.max(start))
        });
        parts.max().unwrap_or(0)
    }

    /// As results show them.
    #[must_use]
    pub fn list(&self) -> Vec<Outage> {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let each = self.list.iter().map(|outage| Outage {
            start_s: seconds(outage.start),
            end_s: outage.end.map(seconds),
            failed: outage.failed,
            reason: Some(outage.reason.clone()),
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Probes every 20 ms for 5 s; `end` says when one that was due at a time ends, and whether
    /// it is answered.
    fn probe(end: impl Fn(u64) -> (u64, bool)) -> Outages {
        let mut outages = Outages::default();
        for due in (0..5000).step_by(20) {
            let (end, ok) = end(due);
            let failure = (!ok).then(|| format!("at {due} ms"));
            outages.add(Probed { due: due * MS, end: end * MS, failure });
        }
        outages.finish(5000 * MS);
        outages
    }

    #[test]
    fn refused_for_two_seconds() {
        let outages = probe(|due| (due + 1, !(1000..3000).contains(&due)));
        assert_eq!(outages.lengths(), (2001 * MS, 2001 * MS));
        let outage = &outages.list()[0];
        assert_eq!((outage.failed, outage.reason.as_deref()), (100, Some("at 1000 ms")));
        assert_eq!(outages.longest_within(0, 2000 * MS), 1000 * MS);
    }

    #[test]
    fn silent_for_two_seconds() {
        // Each waits for a second at most; what waits when it is over is answered at once.
        let outages = probe(|due| match due {
            1000..=2000 => (due + 1000, false),
            2001..3000 => (3000, true),
            _ => (due + 1, true),
        });
        assert_eq!(outages.lengths(), (2000 * MS, 2000 * MS));
    }

    #[test]
    fn the_first_answer_counts_though_earlier_probes_wait_longer() {
        // A lost SYN is sent again after a second.
        let outages = probe(|due| match due {
            1000..1500 => (due + 1000, false),
            1500..1600 => (due + 900, true),
            _ => (due + 1, true),
        });
        assert_eq!(outages.lengths().0, 601 * MS);
    }

    #[test]
    fn slow_is_not_down_and_down_at_the_end_has_no_end() {
        assert_eq!(probe(|due| (due + 900, true)).lengths(), (0, 0));
        let outages = probe(|due| (due + 1, due < 4000));
        assert_eq!(outages.lengths().0, 1000 * MS);
        assert_eq!(outages.list()[0].end_s, None);
    }

    #[test]
    fn flapping_is_several_outages() {
        let outages = probe(|due| (due + 1, (due / 500) % 2 == 0));
        assert_eq!(outages.list().len(), 5);
    }
}
