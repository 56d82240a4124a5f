//! `latency --jitter`: the shapes are what they are called, by Kolmogorov-Smirnov.

use std::time::Duration;

use faultd_tests::{
    clock::to_ms,
    slow,
    stats::{Shape, Z_999, ks_allowance, ks_critical, ks_distance},
    traffic::{self, median, one_way, percentile},
    wire::Way,
};

/// Datagrams a distribution is judged by; the critical distance is then 0.036.
const COUNT: usize = 3000;
/// Mean and jitter in milliseconds. No shape reaches down to zero from here
/// (the normal one would have to be eight deviations off).
const MEAN: f64 = 160.0;
const JITTER: f64 = 20.0;

struct Sample {
    /// Delays as multiples of the jitter, around the mean, in sending order.
    values: Vec<f64>,
    /// Largest error that the measurement itself explains, in the same units.
    error: f64,
}

fn measure(way: Way, options: &str) -> Sample {
    let world = way.world();
    let receiver = way.at_server(&world, traffic::receiver);
    let sender = traffic::sender_to(traffic::address(&receiver));
    let port = traffic::address(&sender).port();
    let interval = Duration::from_micros(500).mul_f64(slow().min(8.0));
    let spread = || {
        let delays = one_way(&sender, &receiver, 500, interval);
        let delays: Vec<u64> = delays.into_iter().flatten().collect();
        (median(&delays), percentile(&delays, 95.0))
    };
    // A daemon that has just started, or has just taken something back, may keep a small machine
    // busy for a moment.
    let calm = || {
        let noisy = |(middle, most): &(u64, u64)| to_ms(most - middle) > JITTER / 20.0;
        (0..4).map(|_| spread()).find(|s| !noisy(s)).unwrap_or_else(spread)
    };
    let (normal, before) = calm();
    let id = world.inject_id(&format!(
        "latency --ms {MEAN} --jitter {JITTER} {options} --local-port {port} --for 120s"
    ));
    let delays = one_way(&sender, &receiver, COUNT, interval);
    world.ctl(&format!("revert {id}")).ok();
    let (_, after) = calm();
    assert!(delays.iter().all(Option::is_some), "a delayed packet was lost");
    let values = delays.into_iter().flatten().map(|d| {
        let added = d as f64 - normal as f64;
        (added / 1e6 - MEAN) / JITTER
    });
    let error = to_ms(before.max(after).saturating_sub(normal)) / JITTER;
    Sample { values: values.collect(), error }
}

/// Distance from the promised shape, and the most that chance (once in a
/// thousand) and the measuring error explain.
fn judge(sample: &Sample, shape: Shape, effective: f64) -> (f64, f64) {
    let cdf = |x: f64| shape.cdf(x);
    let allowed = ks_critical(effective as usize) + ks_allowance(sample.error, cdf);
    (ks_distance(&sample.values, cdf), allowed)
}

fn is_shaped(name: &str, shape: Shape) {
    for way in [Way::Lo4, Way::Veth6] {
        let sample = measure(way, &format!("--distribution {name}"));
        let (distance, allowed) = judge(&sample, shape, COUNT as f64);
        assert!(allowed < 0.25, "the machine is too busy to tell: {}", sample.error);
        assert!(distance <= allowed, "{way:?} {name}: {distance:.4} off, at most {allowed:.4}");
    }
}

#[test]
fn uniform() {
    is_shaped("uniform", Shape::Uniform);
}

#[test]
fn normal() {
    is_shaped("normal", Shape::Normal);
}

#[test]
fn pareto() {
    is_shaped("pareto", Shape::Pareto);
}

#[test]
fn paretonormal() {
    is_shaped("paretonormal", Shape::Paretonormal);
}

#[test]
fn uniform_is_what_one_gets_unasked() {
    let sample = measure(Way::Lo6, "");
    let (distance, allowed) = judge(&sample, Shape::Uniform, COUNT as f64);
    assert!(distance <= allowed, "{distance:.4} off, at most {allowed:.4}");
}

#[test]
fn correlation_repeats_draws_and_keeps_the_shape() {
    let rho = 0.5;
    let sample = measure(Way::Lo4, "--distribution normal --correlation 50");
    let n = COUNT as f64;
    let (distance, allowed) = judge(&sample, Shape::Normal, n * (1.0 - rho) / (1.0 + rho));
    assert!(distance <= allowed, "{distance:.4} off, at most {allowed:.4}");
    let mean = sample.values.iter().sum::<f64>() / n;
    let product = |a: f64, b: f64| (a - mean) * (b - mean);
    let variance = sample.values.iter().map(|v| product(*v, *v)).sum::<f64>() / n;
    let lag = sample.values.windows(2).map(|w| product(w[0], w[1])).sum::<f64>() / n / variance;
    // Deviation of the estimate for such a chain is below 1.5 / sqrt(n).
    let bound = Z_999 * 1.5 / n.sqrt() + sample.error;
    assert!((lag - rho).abs() < bound, "lag-1 correlation {lag:.3}, asked for {rho} ± {bound:.3}");
}

#[test]
fn a_seed_repeats_the_run() {
    let run = |seed: u64| measure(Way::Lo4, &format!("--distribution normal --seed {seed}"));
    let (first, again, other) = (run(11), run(11), run(12));
    let apart = |a: &Sample, b: &Sample| {
        let gaps: Vec<u64> =
            a.values.iter().zip(&b.values).map(|(x, y)| ((x - y).abs() * 1e6) as u64).collect();
        median(&gaps) as f64 / 1e6
    };
    let error = first.error.max(again.error).max(0.05);
    assert!(apart(&first, &again) <= 2.0 * error, "{} jitters apart", apart(&first, &again));
    // Two independent normal draws are 0.95 deviations apart in the median.
    assert!(apart(&first, &other) > 0.5, "{} jitters apart", apart(&first, &other));
}
