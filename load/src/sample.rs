//! A result for tests: a minute at 100/s, with half a second of latency in its middle, a short
//! outage, and names that try to break out of where they stand.

use std::sync::LazyLock;

use hdrhistogram::Histogram;

use crate::summary::{
    CheckResult, FaultRecord, Fitness, Flow, HostInfo, Latency, Ledger, Outage, Phase, PhaseKind,
    Probe, ProbeStream, ScenarioInfo, Second, Stats, Step, Summary, ThresholdResult, VERSION,
    Verdict, VerdictKind, histogram,
};

/// Text that ends a script, an attribute, a cell and a line if it is let.
pub const HOSTILE: &str = "</script><b>\"'&|`x` \u{2028}line";

/// What a second of the run was like: its median in milliseconds, and failures out of 100.
fn second(at: u32) -> (f64, u64) {
    match at {
        20..40 => (505.0, if at < 22 { 50 } else { 1 }),
        // Not all seconds are alike.
        _ => (5.0 + f64::from(at % 7) / 10.0, 0),
    }
}

/// A hundred answers around a median.
fn record(into: &mut Histogram<u64>, median_ms: f64) {
    for at in 0..100_u32 {
        let factor = 0.9 + f64::from(at) / 500.0 + if at == 99 { 1.0 } else { 0.0 };
        into.record((median_ms * factor * 1e6) as u64).unwrap();
    }
}

fn stats(from: u32, to: u32) -> Stats {
    let mut all = histogram();
    let mut failed = 0;
    for at in from..to {
        let (median, failures) = second(at);
        record(&mut all, median);
        failed += failures;
    }
    let due = u64::from(to - from) * 100;
    let latency = Latency::of(&all);
    let mut stats = Stats {
        due,
        sent: due,
        ok: due - failed,
        failed,
        late: u64::from(to > 40) * 3,
        duration_s: f64::from(to - from),
        statuses: [("200".into(), due - failed), ("503".into(), failed / 2)].into(),
        errors: [("status".to_owned(), failed / 2), ("reset".to_owned(), failed - failed / 2)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect(),
        sent_bytes: due * 120,
        received_bytes: due * 850,
        latency: latency.clone(),
        service_time: latency,
        ..Stats::default()
    };
    stats.statuses.retain(|_, count| *count > 0);
    stats.settle();
    stats
}

fn flows(from: u32, to: u32) -> Vec<Flow> {
    let total = stats(from, to);
    let step = |name: &str| Step { name: name.into(), stats: total.clone() };
    vec![Flow {
        name: "buy".into(),
        completed: total.ok,
        aborted: total.failed,
        total: total.clone(),
        steps: vec![step("login"), step(HOSTILE)],
        ..Flow::default()
    }]
}

fn phase(name: &str, kind: PhaseKind, from: u32, to: u32) -> Phase {
    Phase {
        name: name.into(),
        kind,
        start_s: from.into(),
        end_s: to.into(),
        total: stats(from, to),
        flows: flows(from, to),
        availability_ratio: Some(if kind == PhaseKind::Fault { 0.975 } else { 1.0 }),
        longest_outage_s: Some(if kind == PhaseKind::Fault { 0.5 } else { 0.0 }),
    }
}

fn timeline() -> Vec<Second> {
    let row = |at: u32| {
        let (median, failed) = second(at);
        let mut all = histogram();
        record(&mut all, median);
        let latency = Latency::of(&all);
        Second {
            t_s: at,
            length_s: 1.0,
            due: 100,
            sent: 100,
            ok: 100 - failed,
            failed,
            users: at.min(50),
            in_flight: 1 + u64::from((20..40).contains(&at)) * 50,
            p50_ms: latency.p50_ms,
            p90_ms: latency.p90_ms,
            p95_ms: latency.p95_ms,
            p99_ms: latency.p99_ms,
            max_ms: latency.max_ms,
            mean_ms: latency.mean_ms,
            errors: [("reset".to_owned(), failed)].into_iter().filter(|(_, n)| *n > 0).collect(),
            probes_ok: 50 - u64::from(at == 20) * 25,
            probes_failed: u64::from(at == 20) * 25,
            cpu_percent: 12.5,
            ..Second::default()
        }
    };
    (0..60).map(row).collect()
}

fn probe() -> Probe {
    let stream = ProbeStream {
        sent: 1500,
        ok: 1475,
        availability_ratio: Some(1475.0 / 1500.0),
        longest_outage_s: 0.5,
        downtime_s: 0.5,
        outages: vec![Outage {
            start_s: 20.1,
            end_s: Some(20.6),
            failed: 25,
            reason: Some(format!("reset: {HOSTILE}")),
        }],
        latency: stats(0, 20).latency,
    };
    Probe { name: "probe".into(), rate: 50.0, fresh: stream.clone(), pooled: stream }
}

/// The whole result. Its histograms take a while to fill, so that is done once.
pub fn summary() -> Summary {
    static ONCE: LazyLock<Summary> = LazyLock::new(made);
    ONCE.clone()
}

fn made() -> Summary {
    Summary {
        version: VERSION,
        tool: "faultload 0.1.0".into(),
        scenario: ScenarioInfo {
            name: format!("checkout {HOSTILE}"),
            targets: vec!["http://127.0.0.1:8080".into()],
            seed: 7,
            scale: 1.0,
            ..ScenarioInfo::default()
        },
        host: HostInfo { kernel: "6.12.0".into(), cpus: 2, workers: 2 },
        started_at: "2026-11-21T10:00:00.000Z".into(),
        duration_s: 60.0,
        verdict: Verdict {
            kind: VerdictKind::Failed,
            exit_code: 99,
            reasons: vec!["p95 < 500ms: p95 is 534 ms".into()],
            ..Verdict::default()
        },
        fitness: Fitness {
            fit: true,
            warnings: vec!["the descriptor limit is low: 1024".into()],
            busiest_worker_percent: 12.5,
            cpu_s: 7.5,
            peak_memory_bytes: 18_000_000,
            peak_descriptors: 64,
            descriptor_limit: 1024,
            ..Fitness::default()
        },
        total: stats(0, 60),
        flows: flows(0, 60),
        phases: vec![
            phase("baseline", PhaseKind::Baseline, 0, 20),
            phase("fault", PhaseKind::Fault, 20, 40),
            phase("recovery", PhaseKind::Recovery, 40, 60),
        ],
        faults: vec![FaultRecord {
            id: "f-7k2m9q".into(),
            kind: "latency".into(),
            text: "latency --ms 500 --port 8080".into(),
            backend: Some("delay-line".into()),
            planned_start_s: 20.0,
            planned_end_s: 40.0,
            start_s: Some(20.004),
            end_s: Some(40.001),
            end_reason: Some("expired".into()),
            counters: [("matched".into(), 2000), ("affected".into(), 2000)].into(),
            achieved: [("ms_p50".into(), 500.02)].into(),
            recovery_s: Some(0.02),
            ..FaultRecord::default()
        }],
        probes: vec![probe()],
        thresholds: vec![
            ThresholdResult {
                expression: "p95 < 500ms".into(),
                passed: false,
                measured: Some(534.0),
                text: "p95 is 534 ms".into(),
                aborted: false,
            },
            ThresholdResult {
                expression: "error_ratio < 5%".into(),
                passed: true,
                measured: Some(0.02),
                text: "error_ratio is 2%".into(),
                aborted: false,
            },
        ],
        checks: vec![CheckResult {
            flow: "buy".into(),
            step: "login".into(),
            name: format!("body contains {HOSTILE}"),
            passed: 5882,
            failed: 118,
            first_failure: Some("status 503".into()),
        }],
        ledger: Some(Ledger { acknowledged: 5882, found: 5882, ..Ledger::default() }),
        timeline: timeline(),
    }
}
