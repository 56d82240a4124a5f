//! Statistics with stated bounds.
//!
//! Every check here is made so that a correct implementation fails it once in
//! a thousand runs at most, and its size is stated beside it.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

/// Two-sided quantile of the normal distribution that leaves 0.1 % outside.
pub const Z_999: f64 = 3.290_526_73;

/// What a jitter shape promises, as its quantile function in units of the
/// jitter, centred on the delay (tc-netem(8), iproute2's `netem/*.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Even between -1 and 1.
    Uniform,
    /// Gaussian with deviation 1.
    Normal,
    /// (x - 1.5) · 4/3 with x from a Pareto distribution of shape 3.
    Pareto,
    /// A quarter of the normal quantile and three quarters of the pareto one.
    Paretonormal,
}

impl Shape {
    /// The value that a share `u` of all draws does not exceed.
    pub fn quantile(self, u: f64) -> f64 {
        let normal = || Normal::standard().inverse_cdf(u);
        let pareto = || ((1.0 - u).powf(-1.0 / 3.0) - 1.5) * 4.0 / 3.0;
        match self {
            Self::Uniform => 2.0 * u - 1.0,
            Self::Normal => normal(),
            Self::Pareto => pareto(),
            Self::Paretonormal => 0.25 * normal() + 0.75 * pareto(),
        }
    }

    /// The share of draws that do not exceed `x`: the quantile's inverse, by bisection.
    pub fn cdf(self, x: f64) -> f64 {
        let (mut low, mut high) = (1e-12, 1.0 - 1e-12);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.quantile(middle) <= x { low = middle } else { high = middle }
        }
        low
    }
}

/// The Kolmogorov-Smirnov distance between a sample and a distribution.
pub fn ks_distance(sample: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let gap = |(i, x): (usize, &f64)| {
        let f = cdf(*x);
        (f - i as f64 / n).abs().max(((i + 1) as f64 / n - f).abs())
    };
    sorted.iter().enumerate().map(gap).fold(0.0, f64::max)
}

/// The distance that a sample of `n` from the right distribution exceeds once
/// in a thousand times (asymptotic: sqrt(-ln(0.0005) / 2) / sqrt(n)).
pub fn ks_critical(n: usize) -> f64 {
    (-(0.0005_f64).ln() / 2.0).sqrt() / (n as f64).sqrt()
}

/// How far a measuring error of at most `error` (in the units of the
/// distribution) can move its distribution function.
pub fn ks_allowance(error: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    let steps = (0..=2000).map(|i| f64::from(i) / 2000.0 * 16.0 - 8.0);
    steps.map(|x| cdf(x) - cdf(x - error.abs())).fold(0.0, f64::max)
}

/// Whether `hits` of `n` is within the central 99.9 % of a binomial with `p`.
pub fn binomial_999(hits: u64, n: u64, p: f64) -> bool {
    let Ok(law) = Binomial::new(p, n) else { return false };
    let below = law.cdf(hits);
    let above = if hits == 0 { 1.0 } else { law.sf(hits - 1) };
    below >= 0.0005 && above >= 0.0005
}

/// Half the width of the 99.9 % interval for a share `p` over `n` draws whose
/// autocorrelation falls as `rho`^lag: n counts as n (1 - rho) / (1 + rho).
pub fn correlated_bound(p: f64, n: u64, rho: f64) -> f64 {
    let effective = n as f64 * (1.0 - rho) / (1.0 + rho);
    Z_999 * (p * (1.0 - p) / effective).sqrt()
}

/// Correlation of each value with the one after it.
pub fn lag_one(values: &[bool]) -> f64 {
    let n = values.len() as f64;
    let number = |v: &bool| f64::from(u8::from(*v));
    let mean = values.iter().map(number).sum::<f64>() / n;
    let variance = mean * (1.0 - mean);
    let pairs = values.windows(2).map(|w| (number(&w[0]) - mean) * (number(&w[1]) - mean));
    pairs.sum::<f64>() / (n - 1.0) / variance
}

/// Lengths of the runs of `what` that are bounded by its opposite at both ends.
pub fn runs(values: &[bool], what: bool) -> Vec<u64> {
    let mut lengths = Vec::new();
    let mut length = 0;
    let mut bounded = false;
    for value in values {
        if *value == what {
            length += 1;
            continue;
        }
        if length > 0 && bounded {
            lengths.push(length);
        }
        bounded = true;
        length = 0;
    }
    lengths
}

/// Checks run lengths against a geometric distribution (mean 1/q): the mean
/// within its 99.9 % interval, and the distribution function nowhere further
/// off than the 99.9 % Kolmogorov-Smirnov bound (conservative for discrete laws).
///
/// # Errors
/// What is off, with figures.
pub fn geometric(lengths: &[u64], q: f64) -> Result<(), String> {
    let n = lengths.len();
    if n < 100 {
        return Err(format!("only {n} runs, too few to tell"));
    }
    let mean = lengths.iter().sum::<u64>() as f64 / n as f64;
    let bound = Z_999 * (1.0 - q).sqrt() / q / (n as f64).sqrt();
    if (mean - 1.0 / q).abs() > bound {
        return Err(format!("mean run {mean:.3}, expected {:.3} ± {bound:.3} over {n}", 1.0 / q));
    }
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let mut worst: f64 = 0.0;
    for k in 1..=longest {
        let share = lengths.iter().filter(|l| **l <= k).count() as f64 / n as f64;
        worst = worst.max((share - (1.0 - (1.0 - q).powf(k as f64))).abs());
    }
    if worst > ks_critical(n) {
        let most = ks_critical(n);
        return Err(format!("run lengths are {worst:.4} off, at most {most:.4} over {n}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator that has nothing to do with the one under test.
    struct Lcg(u64);

    impl Lcg {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    #[test]
    fn each_shape_passes_its_own_test_and_no_other() {
        let shapes = [Shape::Uniform, Shape::Normal, Shape::Pareto, Shape::Paretonormal];
        for drawn in shapes {
            let mut random = Lcg(7);
            let sample: Vec<f64> = (0..4000).map(|_| drawn.quantile(random.next())).collect();
            for tested in shapes {
                let distance = ks_distance(&sample, |x| tested.cdf(x));
                assert_eq!(
                    distance <= ks_critical(sample.len()),
                    tested == drawn,
                    "{drawn:?} tested as {tested:?}: {distance}"
                );
            }
        }
    }

    #[test]
    fn the_binomial_interval_has_the_right_width() {
        // sd of 100 000 draws at 30 %: 144.9; the interval is 3.29 of them wide each way.
        for (hits, within) in [(30_000, true), (30_460, true), (30_490, false), (29_500, false)] {
            assert_eq!(binomial_999(hits, 100_000, 0.3), within, "{hits}");
        }
        assert!(!binomial_999(0, 100_000, 0.001));
    }

    #[test]
    fn a_measuring_error_allows_what_it_can_explain() {
        // Uniform has density 1/2: a shift of 0.1 moves its function by 0.05.
        let allowance = ks_allowance(0.1, |x| Shape::Uniform.cdf(x));
        assert!((allowance - 0.05).abs() < 0.002, "{allowance}");
    }

    #[test]
    fn geometric_runs_are_told_from_fixed_ones() {
        let mut random = Lcg(3);
        let mut state = false;
        let chain: Vec<bool> = (0..200_000)
            .map(|_| {
                state = if state { random.next() >= 0.1 } else { random.next() < 0.01 };
                state
            })
            .collect();
        geometric(&runs(&chain, true), 0.1).unwrap();
        geometric(&runs(&chain, false), 0.01).unwrap();
        geometric(&[10; 2000], 0.1).unwrap_err();
        geometric(&runs(&chain, true), 0.12).unwrap_err();
    }

    #[test]
    fn only_whole_runs_count() {
        let values = [true, true, false, true, false, false, true, true, true, false, true];
        assert_eq!(runs(&values, true), [1, 3]);
        assert_eq!(runs(&values, false), [1, 2, 1]);
    }

    #[test]
    fn lag_one_of_a_sticky_chain() {
        let mut random = Lcg(11);
        let mut state = false;
        let chain: Vec<bool> = (0..100_000)
            .map(|_| {
                if random.next() >= 0.5 {
                    state = random.next() < 0.3;
                }
                state
            })
            .collect();
        assert!((lag_one(&chain) - 0.5).abs() < 0.0105, "{}", lag_one(&chain));
    }
}
