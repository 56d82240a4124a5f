//! Counts and distributions of steps and flows in one phase, as a worker gathers them.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{ErrorKind, growing};

/// What is known of a step's requests.
#[derive(Debug, Clone)]
pub struct StepData {
    /// Requests begun.
    pub sent: u64,
    /// Answered as wanted.
    pub ok: u64,
    /// Not.
    pub failed: u64,
    /// Begun more than a millisecond after they were due.
    pub late: u64,
    /// Due and never begun.
    pub skipped: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Failed, by kind.
    pub errors: [u64; ErrorKind::COUNT],
    /// What the first failure of each kind said.
    pub samples: BTreeMap<ErrorKind, String>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes written.
    pub sent_bytes: u64,
    /// Bytes read.
    pub received_bytes: u64,
    /// Connections opened.
    pub opened: u64,
    /// Connections tried and not opened.
    pub refused: u64,
    /// Requests that found one open.
    pub reused: u64,
    /// From due to the end of the answer: of good ones, of time-outs and of what the end of the
    /// run cut, which took at least as long.
    pub latency: Histogram<u64>,
    /// The same of all that failed.
    pub failed_latency: Histogram<u64>,
    /// From sending to the end of the answer.
    pub service: Histogram<u64>,
    /// From sending to the first byte.
    pub first_byte: Histogram<u64>,
    /// Streamed answers.
    pub stream: Option<Box<StreamData>>,
    /// One for each check of the step.
    pub checks: Vec<CheckCount>,
}

/// Times of streamed answers.
#[derive(Debug, Clone)]
pub struct StreamData {
    /// Events received.
    pub events: u64,
    /// From due to the first event.
    pub first: Histogram<u64>,
    /// Between one event and the next.
    pub between: Histogram<u64>,
    /// Sum over answers of their events a second, and how many answers that is.
    pub rates: (f64, u64),
}

/// How often a check held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckCount {
    /// Times that it did.
    pub passed: u64,
    /// Times that it did not.
    pub failed: u64,
    /// What the first answer was that did not hold.
    pub first_failure: Option<String>,
}

/// Runs of a flow.
#[derive(Debug, Clone)]
pub struct FlowData {
    /// Begun.
    pub begun: u64,
    /// From the first step to the last.
    pub completed: u64,
    /// Given up because a step failed.
    pub aborted: u64,
    /// From due to the end, completed ones alone.
    pub latency: Histogram<u64>,
}

/// What happened in one phase.
#[derive(Debug, Clone, Default)]
pub struct PhaseData {
    /// By number of the step.
    pub steps: Vec<StepData>,
    /// By index of the flow.
    pub flows: Vec<FlowData>,
}

/// What a request did, to be recorded.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// When it was due, on the clock of the run.
    pub due: u64,
    /// When its first attempt was sent; `None`: none came that far.
    pub first_sent: Option<u64>,
    /// When its last attempt was sent.
    pub sent: Option<u64>,
    /// When the first byte of the answer came.
    pub first_byte: Option<u64>,
    /// When it ended.
    pub end: u64,
    /// The answer's status; 0: none.
    pub status: u16,
    /// What moved.
    pub traffic: Traffic,
}

/// What moved, over all attempts of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes written.
    pub sent: u64,
    /// Bytes read.
    pub received: u64,
    /// Connections opened.
    pub opened: u32,
    /// Connections tried and not opened.
    pub refused: u32,
    /// Attempts that found one open.
    pub reused: u32,
    /// Attempts beyond the first.
    pub retries: u32,
}

impl StepData {
    /// Nothing yet, for a step with so many checks.
    #[must_use]
    pub fn new(checks: usize) -> Self {
        Self {
            sent: 0,
            ok: 0,
            failed: 0,
            late: 0,
            skipped: 0,
            retries: 0,
            errors: [0; ErrorKind::COUNT],
            samples: BTreeMap::new(),
            statuses: BTreeMap::new(),
            sent_bytes: 0,
            received_bytes: 0,
            opened: 0,
            refused: 0,
            reused: 0,
            latency: growing(),
            failed_latency: growing(),
            service: growing(),
            first_byte: growing(),
            stream: None,
            checks: vec![CheckCount::default(); checks],
        }
    }

    /// Adds another worker's, or another step's.
    pub fn add(&mut self, other: &Self) {
        let Self { sent, ok, failed, late, skipped, retries, .. } = other;
        self.sent += sent;
        self.ok += ok;
        self.failed += failed;
        self.late += late;
        self.skipped += skipped;
        self.retries += retries;
        for (sum, count) in self.errors.iter_mut().zip(other.errors) {
            *sum += count;
        }
        for (&kind, sample) in &other.samples {
            self.samples.entry(kind).or_insert_with(|| sample.clone());
        }
        for (&status, count) in &other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        self.opened += other.opened;
        self.refused += other.refused;
        self.reused += other.reused;
        add(&mut self.latency, &other.latency);
        add(&mut self.failed_latency, &other.failed_latency);
        add(&mut self.service, &other.service);
        add(&mut self.first_byte, &other.first_byte);
        if let Some(stream) = &other.stream {
            self.stream.get_or_insert_with(Box::default).add(stream);
        }
        for (sum, check) in self.checks.iter_mut().zip(&other.checks) {
            sum.passed += check.passed;
            sum.failed += check.failed;
            if sum.first_failure.is_none() {
                sum.first_failure.clone_from(&check.first_failure);
            }
        }
    }
}

impl Default for StreamData {
    fn default() -> Self {
        Self { events: 0, first: growing(), between: growing(), rates: (0.0, 0) }
    }
}

impl StreamData {
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        add(&mut self.first, &other.first);
        add(&mut self.between, &other.between);
        self.rates.0 += other.rates.0;
        self.rates.1 += other.rates.1;
    }
}

impl Default for FlowData {
    fn default() -> Self {
        Self { begun: 0, completed: 0, aborted: 0, latency: growing() }
    }
}

impl PhaseData {
    /// Adds another worker's.
    pub fn add(&mut self, other: &Self) {
        for (sum, step) in self.steps.iter_mut().zip(&other.steps) {
            sum.add(step);
        }
        for (sum, flow) in self.flows.iter_mut().zip(&other.flows) {
            sum.begun += flow.begun;
            sum.completed += flow.completed;
            sum.aborted += flow.aborted;
            add(&mut sum.latency, &flow.latency);
        }
    }
}

/// Adds one histogram made by [`growing`] to another.
pub(super) fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    // The sum grows as needed, so this cannot fail.
    let _grown = sum.add(other);
}
