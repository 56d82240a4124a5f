//! The open model: how many are sent, and when.

use std::time::{Duration, Instant};

use faultload::plan::{Arrival, Flow, Request, Stage, Step};

use crate::{figures, get, plan, run, server::Server, summary};

#[test]
fn counts_are_exact_and_arrivals_even() {
    let server = Server::start();
    let outcome = run(plan(get(server.port, "/"), Arrival::rate(1000.0), Duration::from_secs(2)));
    let summary = summary(&outcome);
    assert_eq!((summary.total.due, summary.total.ok), (2000, 2000), "{:?}", summary.total);
    let due: u64 = summary.timeline.iter().map(|row| row.due).sum();
    assert_eq!(due, 2000, "rows add up");
    let log = server.log();
    assert_eq!(log.len(), 2000);
    // Bursts of 100, as some generators have them, would give 100 here; a machine that is busy
    // with other tests is no generator's fault.
    let evenness = evenness(&log.iter().map(|seen| seen.at).collect::<Vec<_>>());
    println!("variance / mean of arrivals in 10 ms: {evenness:.3}");
    assert!(evenness < 30.0, "{evenness}");
}

/// Variance over mean of the number of arrivals in 10 ms, without the ends.
fn evenness(arrivals: &[Instant]) -> f64 {
    let start = arrivals[0];
    let bins = (arrivals[arrivals.len() - 1] - start).as_millis() / 10;
    let mut counts = vec![0.0; usize::try_from(bins).unwrap() + 1];
    for arrival in arrivals {
        counts[usize::try_from((*arrival - start).as_millis() / 10).unwrap()] += 1.0;
    }
    let counts = &counts[1..counts.len() - 1];
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>();
    variance / counts.len() as f64 / mean
}

#[test]
fn stages_of_all_shapes_follow_each_other() {
    let server = Server::start();
    let stage = |from, to, ms| Stage {
        name: "x".into(),
        duration: Duration::from_millis(ms),
        arrival: Arrival::Rate { from, to },
        mix: vec![(0, 3.0), (1, 1.0)],
    };
    let mut plan = plan(get(server.port, "/a"), Arrival::rate(1.0), Duration::from_secs(1));
    let b = Step::new("b", Request::Http(Box::new(get(server.port, "/b"))));
    plan.flows.push(Flow::single(b));
    // A ramp, a step, a spike, back down: 50 + 60 + 100 + 30.
    plan.stages = vec![
        stage(0.0, 200.0, 500),
        stage(200.0, 200.0, 300),
        stage(1000.0, 1000.0, 100),
        stage(200.0, 0.0, 300),
    ];
    let summary = figures(plan);
    assert_eq!(summary.total.ok, 240, "{:?}", summary.total);
    let log = server.log();
    let a = log.iter().filter(|seen| seen.line == "GET /a").count();
    assert!(a.abs_diff(180) <= 3, "{a} of 240 are three quarters");
    assert_eq!(summary.flows[0].total.ok, a as u64);
    assert_eq!(summary.flows[1].completed, 240 - a as u64);
}

#[test]
fn a_stalled_server_cannot_hide_who_had_to_wait() {
    let server = Server::start();
    let (rate, stall) = (400.0, Duration::from_millis(500));
    let plan = plan(get(server.port, "/"), Arrival::rate(rate), Duration::from_secs(3));
    let (outcome, from, until) = std::thread::scope(|scope| {
        let stalling = scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            let from = Instant::now();
            server.stall(true);
            std::thread::sleep(stall);
            server.stall(false);
            (from, Instant::now())
        });
        let outcome = run(plan);
        let (from, until) = stalling.join().unwrap();
        (outcome, from, until)
    });
    let summary = summary(&outcome);
    assert_eq!(summary.total.ok, 1200);
    // Whoever was due during the stall waited for its end: the latencies of these are evenly
    // spread from nothing to its length, so quantiles follow from the length alone.
    let length = (until - from).as_secs_f64() * 1e3;
    let waited = rate * length / 1e3;
    for (quantile, measured) in [
        (0.95, summary.total.latency.p95_ms.unwrap()),
        (0.99, summary.total.latency.p99_ms.unwrap()),
    ] {
        let truth = length * (1.0 - 1200.0 * (1.0 - quantile) / waited);
        // What a busy machine adds comes on top; nothing can have taken less.
        let bounds = truth - 30.0..truth + 500.0;
        assert!(bounds.contains(&measured), "p{quantile}: {measured} ms, {truth} ms is true");
    }
    assert!(summary.total.latency.max_ms.unwrap() > length - 50.0);
}

#[test]
fn what_cannot_be_sent_is_counted() {
    let server = Server::start();
    let mut plan = plan(get(server.port, "/hang"), Arrival::rate(100.0), Duration::from_secs(1));
    plan.limits.in_flight = 10;
    plan.limits.grace = Duration::from_millis(100);
    let summary = figures(plan);
    let total = &summary.total;
    assert_eq!((total.due, total.sent, total.skipped), (100, 10, 90), "{total:?}");
    assert_eq!(total.unfinished, 10, "they hang when the run ends");
    assert_eq!(server.log().len(), 10);
}

#[test]
fn waiting_for_a_turn_counts_as_waiting() {
    let server = Server::start();
    let mut plan = plan(get(server.port, "/"), Arrival::rate(100.0), Duration::from_secs(1));
    plan.limits.in_flight = 2;
    let summary = std::thread::scope(|scope| {
        scope.spawn(|| {
            server.stall(true);
            std::thread::sleep(Duration::from_millis(500));
            server.stall(false);
        });
        figures(plan)
    });
    let total = &summary.total;
    assert_eq!(total.ok, 100, "{total:?}");
    assert!(total.late > 20, "those that waited for the two: {}", total.late);
    assert!(total.latency.p90_ms.unwrap() > 200.0, "{:?}", total.latency.p90_ms);
}
