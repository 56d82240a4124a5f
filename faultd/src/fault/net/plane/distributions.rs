//! The distribution tables that jitter is drawn from.
//!
//! A table is the inverse of a cumulative distribution function at 4096 equally
//! likely points, in units of the jitter. The shapes are those of netem's
//! tables (iproute2, netem/{normal,pareto,paretonormal}.c), computed here in
//! closed form.

use std::sync::OnceLock;

use faultd_abi::{DISTRIBUTION_LEN, DISTRIBUTION_SHIFT, DISTRIBUTIONS, Distribution as Table};
use faultd_api::Distribution;
use statrs::distribution::{ContinuousCDF, Normal};

/// netem's Pareto shape.
const PARETO_SHAPE: f64 = 3.0;

/// Weight of the normal part in `paretonormal`.
const NORMAL_WEIGHT: f64 = 0.25;

/// The quantile function behind a table, in units of the jitter; `None` for
/// uniform, which needs no table.
pub fn quantiles(shape: Distribution) -> Option<fn(f64) -> f64> {
    match shape {
        Distribution::Uniform => None,
        Distribution::Normal => Some(normal),
        Distribution::Pareto => Some(pareto),
        Distribution::Paretonormal => Some(paretonormal),
    }
}

/// The tables, in the order of the `DISTRIBUTION_*` values from normal on.
pub fn tables() -> &'static [Table; DISTRIBUTIONS as usize] {
    static TABLES: OnceLock<Box<[Table; DISTRIBUTIONS as usize]>> = OnceLock::new();
    TABLES.get_or_init(|| Box::new([table(normal), table(pareto), table(paretonormal)]))
}

fn table(quantile: impl Fn(f64) -> f64) -> Table {
    let len = f64::from(DISTRIBUTION_LEN);
    let one = f64::from(1_u32 << DISTRIBUTION_SHIFT);
    std::array::from_fn(|i| (quantile((i as f64 + 0.5) / len) * one).round() as i32)
}

/// The standard normal distribution.
fn normal(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// A Pareto variate x ≥ 1, shifted to mean 0 and scaled as netem has it:
/// (x - 1.5) · 4/3.
fn pareto(p: f64) -> f64 {
    let x = (1.0 - p).powf(-1.0 / PARETO_SHAPE);
    (x - 1.5) * 4.0 / 3.0
}

/// The mixture of netem's table: the weighted sum of both at the same point.
fn paretonormal(p: f64) -> f64 {
    NORMAL_WEIGHT * normal(p) + (1.0 - NORMAL_WEIGHT) * pareto(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kolmogorov-Smirnov distance between a table, as a sample, and a CDF.
    fn distance(table: &Table, cdf: impl Fn(f64) -> f64) -> f64 {
        let one = f64::from(1_u32 << DISTRIBUTION_SHIFT);
        let n = f64::from(DISTRIBUTION_LEN);
        let mut worst = 0.0_f64;
        for (i, value) in (0_u32..).zip(table) {
            let p = cdf(f64::from(*value) / one);
            worst = worst.max((p - f64::from(i) / n).abs());
            worst = worst.max((p - f64::from(i + 1) / n).abs());
        }
        worst
    }

    /// Half a step, which a table of this length cannot avoid, and rounding.
    const TOLERATED: f64 = 0.51 / DISTRIBUTION_LEN as f64;

    #[test]
    fn normal_is_normal() {
        let normal = Normal::standard();
        assert!(distance(&tables()[0], |x| normal.cdf(x)) < TOLERATED);
    }

    #[test]
    fn pareto_has_the_shape_of_netem() {
        let cdf = |y: f64| {
            let x = y * 3.0 / 4.0 + 1.5;
            1.0 - x.powf(-PARETO_SHAPE)
        };
        assert!(distance(&tables()[1], cdf) < TOLERATED);
    }

    #[test]
    fn paretonormal_lies_between() {
        let [normal, pareto, mixed] = tables();
        for i in 0..DISTRIBUTION_LEN as usize {
            let expected = 0.25 * f64::from(normal[i]) + 0.75 * f64::from(pareto[i]);
            assert!((f64::from(mixed[i]) - expected).abs() <= 2.0, "entry {i}");
        }
    }

    #[test]
    fn tables_rise_and_have_mean_zero() {
        for table in tables() {
            assert!(table.is_sorted());
            let one = f64::from(1_u32 << DISTRIBUTION_SHIFT);
            let mean = table.iter().map(|v| f64::from(*v) / one).sum::<f64>() / table.len() as f64;
            // The cut-off tail of the Pareto shapes costs a little.
            assert!(mean.abs() < 0.01, "mean {mean}");
        }
    }
}
