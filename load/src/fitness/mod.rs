//! Whether this generator was fit to judge: if it was late or out of processor time itself, what
//! it measured says something about it and nothing about the target.

mod overflow;

use std::fs;

use hdrhistogram::Histogram;

use crate::{
    measure::{Slice, millis},
    plan::{Arrival, Plan},
    summary::{Fitness, Latency, Stats},
};

/// One arrival in a hundred may be turned to so late, in nanoseconds.
const LAG: u64 = 10_000_000;

/// So many late ones make a pattern; in a short run one alone is more than one in a hundred.
const FEW: u64 = 5;

/// A worker in the closed model that is busy for more than this share of the time is what its
/// figures are about.
const BUSY: f64 = 0.95;

/// Requests that may fail for local reasons, as a share of all.
const LOCAL: f64 = 0.001;

/// What the generator used, and how late it was.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// For each worker: processor time, time kept waiting for a processor (nanoseconds), seconds
    /// told of.
    workers: Vec<(u64, u64, u64)>,
    /// Of arrivals, from due to turned to.
    pub lag: Option<Histogram<u64>>,
    /// The plan has stages with users.
    closed: bool,
    /// Most descriptors open at once.
    peak_descriptors: u64,
    descriptor_limit: u64,
    /// How often a listener on this host had no room for a connection: before the run, and in it.
    overflows: (u64, u64),
}

impl Usage {
    /// Of so many workers.
    #[must_use]
    pub fn new(workers: usize, descriptor_limit: u64) -> Self {
        let overflows = (overflow::count().unwrap_or(0), 0);
        Self { workers: vec![(0, 0, 0); workers], descriptor_limit, overflows, ..Self::default() }
    }

    /// How many workers there were.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// A second of one worker.
    pub fn add(&mut self, worker: usize, slice: &Slice) {
        if let Some((cpu, waited, seconds)) = self.workers.get_mut(worker) {
            *cpu += slice.cpu;
            *waited += slice.kept_waiting;
            *seconds += 1;
        }
    }

    /// A second is over: a look at what the process has.
    pub fn second(&mut self) {
        let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        self.peak_descriptors = self.peak_descriptors.max(open as u64);
    }

    /// The run is over.
    pub fn settle(&mut self, lag: &Histogram<u64>, plan: &Plan) {
        let overflows = overflow::count().unwrap_or(0);
        self.overflows.1 = overflows.saturating_sub(self.overflows.0);
        self.lag = (!lag.is_empty()).then(|| lag.clone());
        self.closed =
            plan.stages.iter().any(|stage| matches!(stage.arrival, Arrival::Users { .. }));
    }

    /// The share of the time that the busiest worker used, and the share in which it ran or could
    /// have run; of those with `seconds` of run time.
    fn busiest(&self, seconds: f64) -> (f64, f64) {
        let share = |nanos: u64| nanos as f64 / 1e9 / seconds.max(1e-3);
        let used = self.workers.iter().map(|worker| share(worker.0)).fold(0.0, f64::max);
        let busy = self.workers.iter().map(|worker| share(worker.0 + worker.1));
        (used, busy.fold(0.0, f64::max))
    }

    /// The judgement on a run of `seconds` with these figures.
    #[must_use]
    pub fn judge(&self, total: &Stats, seconds: f64) -> Fitness {
        let (mut reasons, mut warnings) = (Vec::new(), Vec::new());
        if let Some(lag) = &self.lag {
            let p99 = lag.value_at_quantile(0.99);
            let late = lag.len() - lag.count_between(0, LAG);
            if p99 > LAG && late >= FEW {
                reasons.push(format!(
                    "1 % of the requests were turned to {:.1} ms or more after they were due: \
                     this host was too slow or too busy to send {} as planned",
                    millis(p99),
                    total.due
                ));
            }
        }
        let (used, busy) = self.busiest(seconds);
        if self.closed && busy > BUSY {
            reasons.push(format!(
                "a worker was busy for {:.0} % of the time ({:.0} % of a processor): the figures of \
                 the users are those of the generator",
                busy * 100.0,
                used * 100.0
            ));
        }
        let local: u64 = total.local_errors.values().sum();
        if local > 0 {
            let kinds: Vec<_> =
                total.local_errors.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            let text = format!("requests failed for want of this host's own: {}", kinds.join(", "));
            if local as f64 > LOCAL * total.due as f64 {
                reasons.push(text);
            } else {
                warnings.push(text);
            }
        }
        if self.overflows.1 > 0 {
            warnings.push(format!(
                "a listener on this host had no room for a connection {} times (its backlog, or \
                 net.core.somaxconn): each try costs the client a second and more",
                self.overflows.1
            ));
        }
        Fitness {
            fit: reasons.is_empty(),
            reasons,
            warnings,
            lag: self.lag.as_ref().map(Latency::of).unwrap_or_default(),
            busiest_worker_percent: used * 100.0,
            cpu_s: cpu_seconds(),
            peak_memory_bytes: peak_memory(),
            peak_descriptors: self.peak_descriptors,
            descriptor_limit: self.descriptor_limit,
        }
    }
}

/// Processor time of this process, in seconds.
fn cpu_seconds() -> f64 {
    use nix::sys::resource::{UsageWho, getrusage};
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
        let seconds =
            |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    })
}

/// Largest resident size of this process, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::growing;

    fn with_lag(ms: u64) -> Usage {
        let mut lag = growing();
        lag.record_n(1000, 980).unwrap();
        lag.record_n(ms * 1_000_000, 20).unwrap();
        Usage { lag: Some(lag), ..Usage::new(1, 1024) }
    }

    #[test]
    fn a_generator_that_was_late_may_not_judge() {
        let stats = Stats { due: 1000, ..Stats::default() };
        assert!(with_lag(2).judge(&stats, 10.0).fit);
        let late = with_lag(50).judge(&stats, 10.0);
        assert!(!late.fit && late.reasons[0].contains("50"), "{late:?}");
        let mut short = Usage::new(1, 1024);
        let mut lag = growing();
        lag.record_n(1000, 90).unwrap();
        lag.record(50_000_000).unwrap();
        short.lag = Some(lag);
        assert!(short.judge(&stats, 1.0).fit, "one alone");
    }

    #[test]
    fn a_busy_closed_loop_is_about_the_generator() {
        let slice = |cpu, kept_waiting| Slice { cpu, kept_waiting, ..Slice::default() };
        let mut usage = Usage { closed: true, ..Usage::new(2, 1024) };
        usage.add(0, &slice(900_000_000, 0));
        usage.add(1, &slice(500_000_000, 480_000_000));
        assert!(!usage.judge(&Stats::default(), 1.0).fit, "it was kept from running");
        usage.closed = false;
        assert!(usage.judge(&Stats::default(), 1.0).fit, "in the open model lag tells");
    }

    #[test]
    fn local_errors_beyond_a_few_make_it_unfit() {
        let stats = |ports| Stats {
            due: 10_000,
            local_errors: [("ports".to_owned(), ports)].into(),
            ..Stats::default()
        };
        let usage = Usage::new(1, 1024);
        assert!(usage.judge(&stats(5), 1.0).fit);
        assert_eq!(usage.judge(&stats(5), 1.0).warnings.len(), 1);
        assert!(!usage.judge(&stats(500), 1.0).fit);
    }
}
