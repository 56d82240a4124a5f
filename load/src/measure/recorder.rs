//! What one worker records.

use std::sync::Arc;

use hdrhistogram::Histogram;

use super::{
    ErrorKind, Failure, FlowData, PhaseData, PhaseMark, Phases, Sample, Slice, StepData, growing,
    record,
};

/// Later than this is late, in nanoseconds.
const LATE: u64 = 1_000_000;

/// What there is to record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Number of checks of each step, by the step's number.
    pub checks: Vec<usize>,
    /// Number of flows.
    pub flows: usize,
}

/// Everything that one worker has recorded.
#[derive(Debug)]
pub struct Recorder {
    shape: Shape,
    phases: Arc<Phases>,
    marks: Vec<PhaseMark>,
    data: Vec<PhaseData>,
    second: Slice,
    lag: Histogram<u64>,
    last_end: u64,
}

impl Recorder {
    /// Nothing yet.
    #[must_use]
    pub fn new(shape: Shape, phases: Arc<Phases>) -> Self {
        Self {
            shape,
            phases,
            marks: Vec::new(),
            data: Vec::new(),
            second: Slice::default(),
            lag: growing(),
            last_end: 0,
        }
    }

    fn phase(&mut self, due: u64) -> &mut PhaseData {
        if self.marks.len() != self.phases.count() {
            self.marks = self.phases.marks();
            let empty = || PhaseData {
                steps: self.shape.checks.iter().map(|&checks| StepData::new(checks)).collect(),
                flows: vec![FlowData::default(); self.shape.flows],
            };
            self.data.resize_with(self.marks.len(), empty);
        }
        // The last phases are the ones that are asked for.
        let at = self.marks.iter().rposition(|mark| mark.start <= due).unwrap_or(0);
        &mut self.data[at]
    }

    /// A worker turned to an arrival so long after it was due.
    pub fn lag(&mut self, nanos: u64) {
        record(&mut self.lag, nanos);
        record(&mut self.second.lag, nanos);
    }

    /// A request that was not an arrival of the schedule became due.
    pub fn due(&mut self) {
        self.second.due += 1;
    }

    /// A request of `step` came to its end, good or bad.
    pub fn finished(&mut self, step: usize, sample: &Sample, failure: Option<&Failure>) {
        let latency = sample.end.saturating_sub(sample.due);
        let late = sample.first_sent.is_some_and(|sent| sent.saturating_sub(sample.due) > LATE);
        let traffic = sample.traffic;
        self.last_end = self.last_end.max(sample.end);

        let second = &mut self.second;
        second.late += u64::from(late);
        second.sent_bytes += traffic.sent;
        second.received_bytes += traffic.received;
        // What fails at once would flatter the latency. A time-out took at least as long, and so
        // did what the end of the run cuts.
        let counts = failure.is_none_or(|failure| failure.kind == ErrorKind::Timeout);
        if counts {
            record(&mut second.latency, latency);
        }
        match failure {
            None => second.ok += 1,
            Some(failure) => {
                second.failed += 1;
                second.errors[failure.kind as usize] += 1;
            }
        }

        let data = &mut self.phase(sample.due).steps[step];
        data.sent += 1;
        data.late += u64::from(late);
        data.sent_bytes += traffic.sent;
        data.received_bytes += traffic.received;
        data.opened += u64::from(traffic.opened);
        data.refused += u64::from(traffic.refused);
        data.reused += u64::from(traffic.reused);
        data.retries += u64::from(traffic.retries);
        if sample.status != 0 {
            *data.statuses.entry(sample.status).or_default() += 1;
        }
        if counts {
            record(&mut data.latency, latency);
        }
        match failure {
            None => data.ok += 1,
            Some(failure) => {
                data.failed += 1;
                data.errors[failure.kind as usize] += 1;
                record(&mut data.failed_latency, latency);
                data.samples.entry(failure.kind).or_insert_with(|| failure.detail.clone());
            }
        }
        if let Some(sent) = sample.sent.filter(|_| counts) {
            record(&mut data.service, sample.end.saturating_sub(sent));
            if let Some(first) = sample.first_byte {
                record(&mut data.first_byte, first.saturating_sub(sent));
            }
        }
    }

    /// A request was begun.
    pub fn begun(&mut self) {
        self.second.sent += 1;
    }

    /// The run ended, at `end`, before a request of `step` did: it would have taken longer than
    /// that.
    pub fn unfinished(&mut self, step: usize, due: u64, end: u64) {
        self.last_end = self.last_end.max(end);
        let waited = end.saturating_sub(due);
        record(&mut self.second.latency, waited);
        record(&mut self.phase(due).steps[step].latency, waited);
        self.phase(due).steps[step].sent += 1;
    }

    /// A request of `step` was due and never begun.
    pub fn skipped(&mut self, step: usize, due: u64) {
        self.second.skipped += 1;
        self.phase(due).steps[step].skipped += 1;
    }

    /// A check of `step` held (`None`) or not.
    pub fn checked(&mut self, step: usize, due: u64, check: usize, failure: Option<&str>) {
        let count = &mut self.phase(due).steps[step].checks[check];
        match failure {
            None => count.passed += 1,
            Some(failure) => {
                count.failed += 1;
                count.first_failure.get_or_insert_with(|| failure.to_owned());
            }
        }
    }

    /// An answer of `step` came in pieces at these times.
    pub fn streamed(&mut self, step: usize, due: u64, events: &[u64]) {
        let data = &mut self.phase(due).steps[step];
        let stream = data.stream.get_or_insert_with(Box::default);
        stream.events += events.len() as u64;
        let Some((&first, &last)) = events.first().zip(events.last()) else { return };
        record(&mut stream.first, first.saturating_sub(due));
        for pair in events.windows(2) {
            record(&mut stream.between, pair[1].saturating_sub(pair[0]));
        }
        if last > first {
            let seconds = (last - first) as f64 / 1e9;
            stream.rates.0 += (events.len() - 1) as f64 / seconds;
            stream.rates.1 += 1;
        }
    }

    /// A run of `flow` began, which was due at `due`.
    pub fn flow_begun(&mut self, flow: usize, due: u64) {
        self.phase(due).flows[flow].begun += 1;
    }

    /// A run of `flow` came to its end.
    pub fn flow_ended(&mut self, flow: usize, due: u64, end: u64, completed: bool) {
        let data = &mut self.phase(due).flows[flow];
        if completed {
            data.completed += 1;
            record(&mut data.latency, end.saturating_sub(due));
        } else {
            data.aborted += 1;
        }
    }

    /// What was recorded since the last call, as a slice of the timeline.
    pub fn take_second(&mut self) -> Slice {
        std::mem::take(&mut self.second)
    }

    /// When the last request ended or was given up.
    #[must_use]
    pub fn last_end(&self) -> u64 {
        self.last_end
    }

    /// Everything: a set of data for each phase, and how late this worker was.
    #[must_use]
    pub fn into_parts(mut self) -> (Vec<PhaseData>, Histogram<u64>) {
        self.phase(0);
        (self.data, self.lag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure::ErrorKind, summary::PhaseKind};

    #[test]
    fn a_request_counts_in_the_phase_in_which_it_was_due() {
        let phases = Arc::new(Phases::new("baseline", PhaseKind::Baseline));
        let shape = Shape { checks: vec![0], flows: 1 };
        let mut recorder = Recorder::new(shape, Arc::clone(&phases));
        let sample = |due| Sample { due, sent: Some(due), end: due + 10, ..Sample::default() };
        recorder.finished(0, &sample(5), None);
        phases.cut(100, "fault", PhaseKind::Fault);
        recorder.finished(0, &sample(99), None);
        let failure = Failure::new(ErrorKind::Reset, "gone");
        recorder.finished(0, &sample(100), Some(&failure));
        let late = Failure::new(ErrorKind::Timeout, "no answer");
        recorder.finished(0, &sample(100), Some(&late));
        recorder.unfinished(0, 101, 102);
        for due in [1, 100] {
            recorder.flow_begun(0, due);
        }
        recorder.flow_ended(0, 1, 9, true);
        let second = recorder.take_second();
        assert_eq!((second.ok, second.failed), (2, 2));
        assert_eq!(second.latency.len(), 4, "good answers, time-outs, what was cut");
        let (data, _) = recorder.into_parts();
        assert_eq!((data[0].steps[0].ok, data[0].steps[0].failed), (2, 0));
        let step = &data[1].steps[0];
        assert_eq!((step.sent, step.failed), (3, 2));
        let counts = [&step.latency, &step.service, &step.failed_latency].map(|h| h.len());
        assert_eq!(counts, [2, 1, 2], "a time-out, and what was cut");
        let flows =
            [0, 1].map(|phase| (data[phase].flows[0].begun, data[phase].flows[0].completed));
        assert_eq!(flows, [(1, 1), (1, 0)]);
    }
}
