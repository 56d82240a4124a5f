//! How much a quantile of one run wavers, from its histogram alone: where a step has no timeline,
//! its own samples say so.
//!
//! The true quantile lies between two order statistics whose ranks follow from the binomial
//! distribution (Hahn, Meeker: Statistical Intervals, 1991); the interval of a difference follows
//! from those of its two sides (Zou, Donner: Construction of confidence limits about effect
//! measures, 2008).

use hdrhistogram::Histogram;

use crate::summary::{Latency, NANOS_PER_MS};

/// For 95 % of the cases, were all requests independent. They are not: those that follow each
/// other are alike. So every second one counts.
const WIDTH: f64 = 1.96 * std::f64::consts::SQRT_2;

/// A quantile and the interval that holds it, in milliseconds.
struct Held {
    low: f64,
    at: f64,
    high: f64,
}

/// The interval that holds 95 % of the differences of a quantile (current minus baseline); `None`
/// when there are too few samples.
pub fn interval<'a>(
    baseline: impl Iterator<Item = &'a Latency>,
    current: impl Iterator<Item = &'a Latency>,
    quantile: f64,
) -> Option<(f64, f64)> {
    let (old, new) = (held(&all(baseline)?, quantile)?, held(&all(current)?, quantile)?);
    let moved = new.at - old.at;
    let below = (new.at - new.low).hypot(old.high - old.at);
    let above = (new.high - new.at).hypot(old.at - old.low);
    Some((moved - below, moved + above))
}

/// All of them together.
fn all<'a>(mut runs: impl Iterator<Item = &'a Latency>) -> Option<Histogram<u64>> {
    let first = runs.next()?.clone();
    let merged = runs.try_fold(first, |sum, run| sum.merged(run)).ok()?;
    merged.histogram().ok()
}

fn held(histogram: &Histogram<u64>, quantile: f64) -> Option<Held> {
    let count = histogram.len() as f64;
    let rank = count * quantile;
    let around = WIDTH * (rank * (1.0 - quantile)).sqrt();
    if rank - around < 1.0 || rank + around > count {
        return None;
    }
    let at = |rank: f64| histogram.value_at_quantile(rank / count) as f64 / NANOS_PER_MS;
    Some(Held { low: at(rank - around), at: at(rank), high: at(rank + around) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::histogram;

    /// Times that are spread evenly from 10 ms to 20 ms, times `factor`.
    fn spread(count: u64, factor: f64, seed: u64) -> Latency {
        let mut all = histogram();
        for n in 0..count {
            let share = faultd_abi::splitmix64(seed, n) as f64 / u64::MAX as f64;
            all.record(((10.0 + 10.0 * share) * factor * NANOS_PER_MS) as u64).unwrap();
        }
        Latency::of(&all)
    }

    fn of(baseline: &Latency, current: &Latency) -> Option<(f64, f64)> {
        interval(std::iter::once(baseline), std::iter::once(current), 0.95)
    }

    #[test]
    fn the_same_again_is_no_difference_and_twice_as_slow_is_one() {
        for seed in 0..50 {
            let base = spread(300, 1.0, seed * 2);
            let (low, high) = of(&base, &spread(300, 1.0, seed * 2 + 1)).unwrap();
            assert!(low <= 0.0 && 0.0 <= high, "seed {seed}: {low} to {high}");
            let (low, high) = of(&base, &spread(300, 2.0, seed * 2 + 1)).unwrap();
            assert!(low > 0.0 && low <= 19.5 && 19.5 <= high + 1.0, "seed {seed}: {low} to {high}");
        }
    }

    #[test]
    fn few_samples_say_nothing() {
        assert_eq!(of(&spread(50, 1.0, 1), &spread(5000, 9.0, 2)), None);
        assert_eq!(of(&Latency::default(), &spread(5000, 9.0, 2)), None);
        let nonsense = Latency { histogram: "%".into(), ..Latency::default() };
        assert_eq!(of(&nonsense, &nonsense), None);
    }
}
