//! What rules do, held against what they should do.

use std::{
    thread,
    time::{Duration, Instant},
};

use faultd_api::{Distribution, GeModel, LatencyParams};

use super::{
    super::{Action, Loss, RuleSpec, Via, lock},
    harness::{Bench, PASS, SHOT, rule},
    packet::{Packet, UDP},
};

/// Runs of a statistical test.
const RUNS: u32 = 100_000;

/// Quantile of the standard normal distribution at 99.95 %: two-sided 99.9 %.
const SIGMAS: f64 = 3.29;

fn packet() -> Vec<u8> {
    Packet::new(UDP, ("127.0.0.1", 1), ("127.0.0.1", 2)).bytes()
}

fn lossy(loss: Loss) -> RuleSpec {
    RuleSpec { action: Action::Loss(loss), ..rule() }
}

/// The share of packets that a rule affects.
fn share(bench: &Bench, spec: &RuleSpec) -> f64 {
    let counted = bench.with_rule(spec, |bench| {
        bench.run(super::super::object::program::TC_EGRESS, &packet(), RUNS);
    });
    assert_eq!(counted.matched, u64::from(RUNS));
    counted.affected as f64 / f64::from(RUNS)
}

/// Which of `n` packets a rule drops.
fn pattern(bench: &Bench, spec: &RuleSpec, n: usize) -> Vec<bool> {
    let slot = bench.plane.add(spec).unwrap();
    let packet = packet();
    let pattern = (0..n)
        .map(|_| match bench.leave(&packet) {
            SHOT => true,
            PASS => false,
            other => panic!("verdict {other}"),
        })
        .collect();
    bench.plane.remove(slot).unwrap();
    pattern
}

#[test]
fn rules_on_a_lease_end_with_who_renews_it() {
    let Some(bench) = Bench::new() else { return };
    let slot = bench.plane.add(&rule()).unwrap();
    let hit = || bench.leave(&packet()) == SHOT;
    assert!(hit());
    lock(&bench.plane.core).attachments.lease.begin().unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        assert!(hit(), "not in force after {:?}", start.elapsed());
        thread::sleep(Duration::from_millis(10));
    }
    lock(&bench.plane.core).attachments.lease.abandon();
    thread::sleep(Duration::from_secs(1));
    assert!(!hit(), "still in force after a second");
    assert!(bench.plane.counters(slot).expired > 0);
    lock(&bench.plane.core).attachments.lease.end().unwrap();
    assert!(hit());
}

#[test]
fn random_loss_keeps_its_share() {
    let Some(bench) = Bench::new() else { return };
    for percent in [0.1, 1.0, 10.0, 50.0, 99.0] {
        for correlation in [0.0, 25.0] {
            let mut spec = lossy(Loss::Random { percent, correlation });
            spec.seed = percent as u64 + 7;
            let (p, rho) = (percent / 100.0, correlation / 100.0);
            let got = share(&bench, &spec);
            // Correlation widens the spread by (1+ρ)/(1-ρ).
            let sigma = (p * (1.0 - p) / f64::from(RUNS) * (1.0 + rho) / (1.0 - rho)).sqrt();
            assert!((got - p).abs() < SIGMAS * sigma, "{percent} % ρ {correlation} %: {got}");
        }
    }
    let all = lossy(Loss::Random { percent: 100.0, correlation: 0.0 });
    assert_eq!(share(&bench, &all), 1.0, "all is all");
}

#[test]
fn correlated_losses_come_together() {
    let Some(bench) = Bench::new() else { return };
    let n = 20_000;
    let spec = lossy(Loss::Random { percent: 30.0, correlation: 50.0 });
    let lost: Vec<f64> =
        pattern(&bench, &spec, n).into_iter().map(|l| f64::from(u8::from(l))).collect();
    let mean = lost.iter().sum::<f64>() / n as f64;
    let variance = lost.iter().map(|l| (l - mean).powi(2)).sum::<f64>();
    let lagged = lost.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>();
    let correlation = lagged / variance;
    assert!((correlation - 0.5).abs() < 0.03, "lag-1 autocorrelation {correlation}");
}

#[test]
fn every_nth_is_exact() {
    let Some(bench) = Bench::new() else { return };
    let got = pattern(&bench, &lossy(Loss::Every(3)), 12);
    let expected: Vec<bool> = (1..=12).map(|i| i % 3 == 0).collect();
    assert_eq!(got, expected);
    assert_eq!(share(&bench, &lossy(Loss::Every(1))), 1.0);
    assert_eq!(share(&bench, &lossy(Loss::Every(1000))), 0.001);
}

#[test]
fn gilbert_elliott_makes_bursts_of_the_length_it_should() {
    let Some(bench) = Bench::new() else { return };
    let model = |p, r| GeModel { p, r, one_minus_h: 100.0, one_minus_k: 0.0 };
    let spec = lossy(Loss::GilbertElliott(model(2.0, 20.0)));
    // Share of the bad state: p / (p + r); its autocorrelation 1 - p - r
    // widens the spread.
    let (p, r): (f64, f64) = (0.02, 0.2);
    let expected = p / (p + r);
    let rho = 1.0 - p - r;
    let sigma = (expected * (1.0 - expected) / f64::from(RUNS) * (1.0 + rho) / (1.0 - rho)).sqrt();
    let got = share(&bench, &spec);
    assert!((got - expected).abs() < SIGMAS * sigma, "share {got}, expected {expected}");

    // Bursts are geometric with mean 1 / r.
    let pattern = pattern(&bench, &spec, 30_000);
    let bursts: Vec<usize> =
        pattern.split(|lost| !lost).map(<[bool]>::len).filter(|len| *len > 0).collect();
    let mean = bursts.iter().sum::<usize>() as f64 / bursts.len() as f64;
    let sigma = ((1.0 - r) / (r * r) / bursts.len() as f64).sqrt();
    assert!((mean - 1.0 / r).abs() < SIGMAS * sigma, "mean burst {mean} of {}", bursts.len());
}

#[test]
fn a_seed_repeats_the_run_and_another_does_not() {
    let Some(bench) = Bench::new() else { return };
    let mut spec = lossy(Loss::Random { percent: 50.0, correlation: 0.0 });
    let first = pattern(&bench, &spec, 500);
    assert_eq!(first, pattern(&bench, &spec, 500));
    spec.seed += 1;
    assert_ne!(first, pattern(&bench, &spec, 500));
}

/// A delay by departure time; the counters tell how long it was.
fn delayed(ms: f64, jitter_ms: f64, distribution: Option<Distribution>) -> RuleSpec {
    let params = LatencyParams { ms, jitter_ms, distribution, correlation: None };
    RuleSpec { action: Action::Delay(params, Via::Edt), ..rule() }
}

fn mean_ms(bench: &Bench, spec: &RuleSpec, runs: u32) -> f64 {
    let counted = bench.with_rule(spec, |bench| {
        let (verdict, _) = bench.run(super::super::object::program::TC_EGRESS, &packet(), runs);
        assert_eq!(verdict, PASS);
    });
    // A packet keeps its mark from run to run of one test run.
    counted.delay_ns as f64 / 1e6 / counted.affected as f64
}

#[test]
fn delays_are_what_was_asked_for() {
    let Some(bench) = Bench::new() else { return };
    for ms in [0.01, 1.0, 50.0, 60_000.0] {
        assert_eq!(mean_ms(&bench, &delayed(ms, 0.0, None), 10), ms);
    }
}

#[test]
fn jitter_keeps_the_mean() {
    let Some(bench) = Bench::new() else { return };
    for shape in [
        Distribution::Uniform,
        Distribution::Normal,
        Distribution::Pareto,
        Distribution::Paretonormal,
    ] {
        let got = mean_ms(&bench, &delayed(100.0, 10.0, Some(shape)), RUNS);
        // Spread of a table: below 1.3 of the jitter for all shapes.
        let sigma = 13.0 / f64::from(RUNS).sqrt();
        assert!((got - 100.0).abs() < SIGMAS * sigma + 0.05, "{shape:?}: mean {got} ms");
    }
}

/// One draw of a delay at a time, from the counters.
fn draws(bench: &Bench, spec: &RuleSpec, n: usize) -> Vec<f64> {
    let slot = bench.plane.add(spec).unwrap();
    let packet = packet();
    let mut before = 0;
    let draws = (0..n)
        .map(|_| {
            bench.leave(&packet);
            let sum = bench.plane.counters(slot).delay_ns;
            let drawn = sum - before;
            before = sum;
            drawn as f64 / 1e6
        })
        .collect();
    bench.plane.remove(slot).unwrap();
    draws
}

#[test]
fn jitter_has_the_shape_it_should() {
    use statrs::distribution::{ContinuousCDF as _, Normal};
    let Some(bench) = Bench::new() else { return };
    let n = 10_000;
    type Cdf = fn(f64) -> f64;
    let shapes: [(Distribution, Cdf); 3] = [
        (Distribution::Uniform, |z| (z + 1.0) / 2.0),
        (Distribution::Normal, |z| Normal::standard().cdf(z)),
        (Distribution::Pareto, |z| 1.0 - (z * 0.75 + 1.5).max(1.0).powi(-3)),
    ];
    for (shape, cdf) in shapes {
        let mut spec = delayed(1000.0, 100.0, Some(shape));
        let mut drawn = Vec::new();
        for seed in 1..=4 {
            spec.seed = seed;
            drawn.extend(draws(&bench, &spec, n / 4));
        }
        drawn.sort_by(f64::total_cmp);
        let distance = drawn.iter().enumerate().fold(0.0_f64, |worst, (i, ms)| {
            let p = cdf((ms - 1000.0) / 100.0);
            worst.max((p - i as f64 / n as f64).abs()).max((p - (i + 1) as f64 / n as f64).abs())
        });
        // Kolmogorov-Smirnov at 0.1 %, and half a step of the table.
        let limit = 1.95 / (n as f64).sqrt() + 0.5 / 4096.0;
        assert!(distance < limit, "{shape:?}: distance {distance}, limit {limit}");
    }
}

#[test]
fn no_line_means_no_delay() {
    let Some(bench) = Bench::new() else { return };
    let spec = RuleSpec {
        action: Action::Delay(
            LatencyParams { ms: 5.0, jitter_ms: 0.0, distribution: None, correlation: None },
            Via::Line,
        ),
        ..rule()
    };
    let refused = bench.plane.add(&spec).unwrap_err().to_string();
    assert!(refused.contains("delay line"), "{refused}");
    assert_eq!(bench.plane.rule_count(), 0);
}
