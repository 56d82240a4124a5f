//! How much a difference wavers (Efron, Tibshirani: An Introduction to the Bootstrap, 1993; blocks
//! after Künsch 1989).

use faultd_abi::splitmix64;

/// Enough that the 2.5 % ends of the interval stand on fifty values each.
const DRAWS: usize = 2000;
/// Fewer values say nothing about how they waver.
const LEAST: usize = 3;
/// Seconds that are drawn together.
const BLOCK: usize = 5;

/// Values that are drawn from, in blocks that stay together.
pub struct Samples {
    values: Vec<f64>,
    block: usize,
}

impl Samples {
    /// Values that have nothing to do with each other.
    pub fn alone(values: Vec<f64>) -> Self {
        Self { values, block: 1 }
    }

    /// Seconds of runs.
    pub fn of_seconds(runs: impl Iterator<Item = Vec<f64>>) -> Self {
        let values: Vec<f64> = runs.flatten().collect();
        // Of a short run single seconds, else there would be too few to draw from.
        let block = if values.len() >= 4 * BLOCK { BLOCK } else { 1 };
        Self { values, block }
    }

    /// The mean of as many values, drawn again.
    fn drawn_mean(&self, random: &mut Random) -> f64 {
        let starts = self.values.len() - self.block + 1;
        let blocks = self.values.len().div_ceil(self.block);
        let mut sum = 0.0;
        for _ in 0..blocks {
            let start = random.below(starts);
            sum += self.values[start..start + self.block].iter().sum::<f64>();
        }
        sum / (blocks * self.block) as f64
    }
}

/// The interval that holds 95 % of the differences of the means (current minus baseline); `None`
/// when there are too few values.
pub fn interval(baseline: &Samples, current: &Samples, seed: u64) -> Option<(f64, f64)> {
    if baseline.values.len() < LEAST || current.values.len() < LEAST {
        return None;
    }
    let mut random = Random { seed, next: 0 };
    let mut differences: Vec<f64> = (0..DRAWS)
        .map(|_| current.drawn_mean(&mut random) - baseline.drawn_mean(&mut random))
        .collect();
    differences.sort_by(f64::total_cmp);
    let at = |share: f64| differences[(share * (DRAWS - 1) as f64).round() as usize];
    Some((at(0.025), at(0.975)))
}

struct Random {
    seed: u64,
    next: u64,
}

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.next += 1;
        ((u128::from(splitmix64(self.seed, self.next)) * below as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values around `mean` that waver evenly by `by` to each side.
    fn wavering(mean: f64, by: f64, seed: u64) -> Samples {
        let share = |n| splitmix64(seed, n) as f64 / u64::MAX as f64;
        let values = (0..60).map(|n| mean + (share(n) * 2.0 - 1.0) * by);
        Samples::of_seconds(std::iter::once(values.collect()))
    }

    #[test]
    fn the_interval_holds_the_true_difference_as_often_as_it_says() {
        let runs = 200;
        let holds = |n: &u64| {
            let (low, high) =
                interval(&wavering(100.0, 30.0, n * 2), &wavering(110.0, 30.0, n * 2 + 1), *n)
                    .unwrap();
            low <= 10.0 && 10.0 <= high
        };
        let held = (0..runs).filter(holds).count();
        // 95 % in theory; blocks of a short series are a little too sure.
        assert!((170..=200).contains(&held), "{held} of {runs}");
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let one = || interval(&wavering(5.0, 1.0, 1), &wavering(5.0, 1.0, 2), 7);
        assert_eq!(one(), one());
    }

    #[test]
    fn too_few_values_say_nothing() {
        let few = || Samples::alone(vec![1.0, 2.0]);
        assert_eq!(interval(&few(), &few(), 0), None);
    }
}
