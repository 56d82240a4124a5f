//! Due times of open-model stages.

use super::{SECOND, nanos};
use crate::plan::{Arrival, Stage};

/// Counts closer than this to the next whole number have reached it: sums of products of
/// decimal fractions end a hair above or below.
const ROUNDING: f64 = 1e-6;

/// The arrivals of all stages that have a rate, numbered through.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    stretches: Vec<Stretch>,
}

/// A stage with a rate.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// Index of the stage.
    stage: usize,
    /// When it begins, in nanoseconds.
    start: u64,
    /// How long it lasts, in seconds.
    seconds: f64,
    /// Arrivals a second at its start and end.
    from: f64,
    to: f64,
    /// Arrivals before it, with their fraction.
    before: f64,
    /// Number of its first arrival, and of the first one after it.
    first: u64,
    end: u64,
}

impl Stretch {
    /// Arrivals since the stretch began, `t` seconds into it.
    fn count(&self, t: f64) -> f64 {
        let t = t.clamp(0.0, self.seconds);
        (self.to - self.from).mul_add(t * t / (2.0 * self.seconds), self.from * t)
    }

    /// Seconds into the stretch at which `count` arrivals have been due.
    fn time_of(&self, count: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
        let denominator = self.from + root;
        // This form of the solution does not cancel, and holds for a slope of zero too.
        if denominator > 0.0 { (2.0 * count / denominator).min(self.seconds) } else { 0.0 }
    }
}

fn whole(count: f64) -> u64 {
    (count - ROUNDING).ceil().max(0.0) as u64
}

impl Rates {
    /// The arrivals of `stages`, which follow each other.
    #[must_use]
    pub fn new(stages: &[Stage]) -> Self {
        let (mut start, mut before) = (0, 0.0);
        let mut stretches = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            let seconds = stage.duration.as_secs_f64();
            if let Arrival::Rate { from, to } = stage.arrival
                && seconds > 0.0
            {
                let after = before + (from + to) / 2.0 * seconds;
                let (first, end) = (whole(before), whole(after));
                stretches.push(Stretch {
                    stage: index,
                    start,
                    seconds,
                    from,
                    to,
                    before,
                    first,
                    end,
                });
                before = after;
            }
            start += nanos(stage.duration);
        }
        Self { stretches }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.stretches.last().map_or(0, |stretch| stretch.end)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When arrival `number` is due, and the index of its stage; `None` beyond the last one.
    #[must_use]
    pub fn due(&self, number: u64) -> Option<(u64, usize)> {
        let at = self.stretches.partition_point(|stretch| stretch.end <= number);
        let stretch = self.stretches.get(at)?;
        let seconds = stretch.time_of((number as f64 - stretch.before).max(0.0));
        Some((stretch.start + (seconds * SECOND as f64) as u64, stretch.stage))
    }

    /// How many are due before `time`.
    #[must_use]
    pub fn due_before(&self, time: u64) -> u64 {
        let at = self.stretches.partition_point(|stretch| stretch.start < time);
        let Some(stretch) = at.checked_sub(1).and_then(|at| self.stretches.get(at)) else {
            return 0;
        };
        let seconds = (time - stretch.start) as f64 / SECOND as f64;
        whole(stretch.before + stretch.count(seconds)).clamp(stretch.first, stretch.end)
    }

    /// The rate that is asked for at `time`, a second.
    #[must_use]
    pub fn rate_at(&self, time: u64) -> f64 {
        let at = self.stretches.partition_point(|stretch| stretch.start <= time);
        let Some(stretch) = at.checked_sub(1).and_then(|at| self.stretches.get(at)) else {
            return 0.0;
        };
        let share = (time - stretch.start) as f64 / SECOND as f64 / stretch.seconds;
        if share >= 1.0 { 0.0 } else { (stretch.to - stretch.from).mul_add(share, stretch.from) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stage(from: f64, to: f64, seconds: f64) -> Stage {
        Stage {
            name: String::new(),
            duration: Duration::from_secs_f64(seconds),
            arrival: Arrival::Rate { from, to },
            mix: vec![(0, 1.0)],
        }
    }

    #[test]
    fn a_constant_rate_is_even_and_exact() {
        for rate in [0.5, 3.0, 1000.0, 1234.5, 5000.0, 20_000.0, 0.1] {
            let rates = Rates::new(&[stage(rate, rate, 20.0)]);
            assert_eq!(rates.len(), (rate * 20.0) as u64, "{rate}");
            for number in 0..rates.len() {
                let expected = number as f64 / rate * 1e9;
                assert!((rates.due(number).unwrap().0 as f64 - expected).abs() < 10.0);
            }
            assert_eq!(rates.due(rates.len()), None);
        }
    }

    #[test]
    fn ramps_up_and_down_have_the_area_under_them() {
        for (from, to) in [(0.0, 100.0), (100.0, 0.0), (20.0, 80.0)] {
            let rates = Rates::new(&[stage(from, to, 10.0)]);
            assert_eq!(rates.len(), 500);
            let times: Vec<u64> = (0..500).map(|number| rates.due(number).unwrap().0).collect();
            assert!(times.is_sorted());
            assert!(times.iter().all(|&time| time <= 10 * SECOND));
        }
        // Half of the time of a ramp from zero holds a quarter of its arrivals.
        let rates = Rates::new(&[stage(0.0, 100.0, 10.0)]);
        assert!(rates.due_before(5 * SECOND).abs_diff(125) <= 1);
    }

    #[test]
    fn steps_join_without_losing_one() {
        let stages = [stage(10.0, 10.0, 1.05), stage(50.0, 50.0, 1.0), stage(0.3, 0.3, 10.0)];
        let rates = Rates::new(&stages);
        // 10.5 + 50 + 3 = 63.5 due in all: number 63 is due at the end.
        assert_eq!(rates.len(), 64);
        let times: Vec<_> = (0..64).map(|number| rates.due(number).unwrap()).collect();
        assert!(times.is_sorted_by_key(|due| due.0));
        assert_eq!(times[10].1, 0);
        assert_eq!(times[11].1, 1);
        assert_eq!(times[11].0, 1_060_000_000, "half a unit was there already");
    }

    #[test]
    fn due_before_counts_what_due_lists() {
        let stages = [stage(0.0, 40.0, 3.0), stage(40.0, 7.0, 2.0), stage(7.0, 7.0, 1.0)];
        let rates = Rates::new(&stages);
        for tenth in 0..=70 {
            let time = tenth * SECOND / 10;
            let listed =
                (0..rates.len()).filter(|&number| rates.due(number).unwrap().0 < time).count();
            assert!(rates.due_before(time).abs_diff(listed as u64) <= 1, "at {tenth}: {listed}");
        }
        assert_eq!(rates.due_before(u64::MAX), rates.len());
        assert!((rates.rate_at(0) - 0.0).abs() < 1e-9);
        assert!((rates.rate_at(3 * SECOND / 2) - 20.0).abs() < 1e-9);
        assert!(rates.rate_at(6 * SECOND).abs() < 1e-9);
    }

    #[test]
    fn pauses_move_what_follows() {
        let pause = Stage { arrival: Arrival::Pause, ..stage(0.0, 0.0, 2.0) };
        let rates = Rates::new(&[pause.clone(), stage(2.0, 2.0, 1.0), pause]);
        assert_eq!(rates.due(0), Some((2 * SECOND, 1)));
        assert_eq!(rates.due(1), Some((2 * SECOND + SECOND / 2, 1)));
        assert_eq!(rates.len(), 2);
    }
}
