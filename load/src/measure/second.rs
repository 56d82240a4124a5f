//! The timeline: what each worker did in a second, and all of them together.

use hdrhistogram::Histogram;

use super::{ErrorKind, growing, stats::add};
use crate::summary::{NANOS_PER_MS, Second};

/// What one worker did in one second.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Requests that became due otherwise than by the schedule of arrivals.
    pub due: u64,
    /// Begun.
    pub sent: u64,
    /// Answered as wanted.
    pub ok: u64,
    /// Not.
    pub failed: u64,
    /// Begun late.
    pub late: u64,
    /// Due and never begun.
    pub skipped: u64,
    /// Failed, by kind.
    pub errors: [u64; ErrorKind::COUNT],
    /// Bytes written.
    pub sent_bytes: u64,
    /// Bytes read.
    pub received_bytes: u64,
    /// From due to the end, of what ended well or in a time-out.
    pub latency: Histogram<u64>,
    /// From due to the moment the worker turned to it.
    pub lag: Histogram<u64>,
    /// Users at work at its end.
    pub users: u32,
    /// Requests without an answer at its end.
    pub in_flight: u64,
    /// Connections open at its end.
    pub connections: u64,
    /// Processor time that the worker used, in nanoseconds.
    pub cpu: u64,
    /// Time in which it could have run and another thread did, in nanoseconds.
    pub kept_waiting: u64,
}

impl Default for Slice {
    fn default() -> Self {
        Self {
            due: 0,
            sent: 0,
            ok: 0,
            failed: 0,
            late: 0,
            skipped: 0,
            errors: [0; ErrorKind::COUNT],
            sent_bytes: 0,
            received_bytes: 0,
            latency: growing(),
            lag: growing(),
            users: 0,
            in_flight: 0,
            connections: 0,
            cpu: 0,
            kept_waiting: 0,
        }
    }
}

impl Slice {
    /// Whether nothing was done in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due + self.sent + self.ok + self.failed + self.skipped == 0
    }
}

/// The slices of all workers as one row of the timeline. What only the coordinator knows (`t_s`,
/// `length_s`, arrivals due, probes) is left at zero.
#[must_use]
pub fn row<'a>(slices: impl IntoIterator<Item = &'a Slice>) -> Second {
    let (mut latency, mut lag, mut cpu) = (growing(), growing(), 0);
    let mut row = Second::default();
    for slice in slices {
        row.due += slice.due;
        row.sent += slice.sent;
        row.ok += slice.ok;
        row.failed += slice.failed;
        row.late += slice.late;
        row.skipped += slice.skipped;
        row.users += slice.users;
        row.in_flight += slice.in_flight;
        row.connections += slice.connections;
        row.sent_bytes += slice.sent_bytes;
        row.received_bytes += slice.received_bytes;
        for kind in ErrorKind::ALL {
            let count = slice.errors[kind as usize];
            if count > 0 {
                *row.errors.entry(kind.name().to_owned()).or_default() += count;
            }
        }
        add(&mut latency, &slice.latency);
        add(&mut lag, &slice.lag);
        cpu += slice.cpu;
    }
    row.cpu_percent = cpu as f64 / 1e7;
    let quantile = |histogram: &Histogram<u64>, quantile| {
        let nanos = histogram.value_at_quantile(quantile).min(histogram.max());
        (!histogram.is_empty()).then(|| nanos as f64 / NANOS_PER_MS)
    };
    row.p50_ms = quantile(&latency, 0.5);
    row.p90_ms = quantile(&latency, 0.9);
    row.p95_ms = quantile(&latency, 0.95);
    row.p99_ms = quantile(&latency, 0.99);
    row.max_ms = quantile(&latency, 1.0);
    row.mean_ms = (!latency.is_empty()).then(|| latency.mean() / NANOS_PER_MS);
    row.lag_p99_ms = quantile(&lag, 0.99);
    row
}
