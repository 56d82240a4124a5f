//! What is recorded while a run goes on, in memory that does not grow with it.
//!
//! Each worker has a [`Recorder`] of its own; at the end they are added up and read out as a
//! [`crate::summary::Summary`].

mod error;
mod phases;
mod raw;
mod recorder;
mod second;
mod stats;
mod summarize;

pub use error::{ErrorKind, Failure};
pub use phases::{PhaseMark, Phases};
pub use raw::{Attempted, RawFormat, RawWriter};
pub use recorder::{Recorder, Shape};
pub use second::{Slice, row};
pub use stats::{CheckCount, FlowData, PhaseData, Sample, StepData, StreamData, Traffic};
pub(crate) use summarize::millis;
pub use summarize::{PhaseSummary, summarize};

use hdrhistogram::Histogram;

/// The longest time that is told apart from longer ones: an hour, in nanoseconds.
pub const LONGEST: u64 = 3_600_000_000_000;

/// An empty histogram of nanoseconds that grows with what it is given.
#[must_use]
pub fn growing() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1_000, 1_000_000, 3)
        .unwrap_or_else(|_| unreachable!("the bounds are constants that the crate takes"));
    histogram.auto(true);
    histogram
}

/// Adds a time to a histogram made by [`growing`].
pub(crate) fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    // It grows up to the longest time, so this cannot fail.
    let _grown = histogram.record(nanos.min(LONGEST));
}
