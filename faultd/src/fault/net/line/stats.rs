//! What the line did for one rule: counts, and how long it really held.
//!
//! One thread writes, any thread reads, and neither ever waits for the other:
//! plain atomic counters without read-modify-write.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// What the line did for one rule.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LineStats {
    /// Frames that were sent on at their time.
    pub delivered: u64,
    /// Frames that were sent on early because the rule ended.
    pub flushed: u64,
    /// Frames that were dropped because the line's memory was full.
    pub overflow: u64,
    /// Frames that the kernel did not take back (device down or gone, its
    /// queue full).
    pub refused: u64,
    /// How long the frames that were delivered were held.
    pub held: Option<Quantiles>,
    /// By how much they were late; contained in `held`.
    pub late: Option<Quantiles>,
}

/// Some quantiles, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

fn add(counter: &AtomicU64, n: u64) {
    // There is one writer, so this need not be one atomic step.
    counter.store(counter.load(Relaxed) + n, Relaxed);
}

/// The counters behind [`LineStats`].
#[derive(Debug, Default)]
pub(super) struct SlotStats {
    delivered: AtomicU64,
    flushed: AtomicU64,
    overflow: AtomicU64,
    refused: AtomicU64,
    held: Histogram,
    late: Histogram,
    /// Smallest and largest delay asked for, µs, each plus one; 0 = none yet.
    asked_min: AtomicU64,
    asked_max: AtomicU64,
}

impl SlotStats {
    /// A frame left `late_ns` after its deadline; `delay_us` was asked for.
    pub fn delivered(&self, delay_us: u32, late_ns: u64) {
        add(&self.delivered, 1);
        self.late.record(late_ns);
        let asked = u64::from(delay_us) + 1;
        if self.asked_min.load(Relaxed) == 0 || asked < self.asked_min.load(Relaxed) {
            self.asked_min.store(asked, Relaxed);
        }
        if asked > self.asked_max.load(Relaxed) {
            self.asked_max.store(asked, Relaxed);
        }
        self.held.record(u64::from(delay_us) * 1000 + late_ns);
    }

    pub fn flushed(&self) {
        add(&self.flushed, 1);
    }

    pub fn overflow(&self) {
        add(&self.overflow, 1);
    }

    pub fn refused(&self) {
        add(&self.refused, 1);
    }

    pub fn read(&self) -> LineStats {
        let late = self.late.quantiles();
        let (min, max) = (self.asked_min.load(Relaxed), self.asked_max.load(Relaxed));
        // All frames asked for the same: the sum is exact where the buckets of
        // the histogram are not.
        let held = match late {
            Some(late) if min == max && min > 0 => {
                let asked = (min - 1) as f64 / 1e3;
                Some(Quantiles {
                    p50: asked + late.p50,
                    p99: asked + late.p99,
                    max: asked + late.max,
                })
            }
            _ => self.held.quantiles(),
        };
        LineStats {
            delivered: self.delivered.load(Relaxed),
            flushed: self.flushed.load(Relaxed),
            overflow: self.overflow.load(Relaxed),
            refused: self.refused.load(Relaxed),
            held,
            late,
        }
    }
}

/// Buckets per power of two: each is 1/64 wide, so a value read from the
/// middle of its bucket is off by less than 0.8 %.
const SUB_BITS: u32 = 6;
const SUB: usize = 1 << SUB_BITS;

/// Up to 2^43 ns (two hours); what is longer counts as that.
const OCTAVES: usize = 38;

/// A histogram of nanoseconds in logarithmic buckets. An octave takes memory
/// when the first value falls into it.
#[derive(Debug)]
struct Histogram {
    octaves: [OnceLock<Box<[AtomicU32; SUB]>>; OCTAVES],
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { octaves: [const { OnceLock::new() }; OCTAVES], max: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Octave 0 holds 0..64 one by one; octave n holds 64·2^(n-1)..64·2^n.
    fn place(value: u64) -> (usize, usize) {
        let bits = u64::BITS - value.leading_zeros();
        let octave = bits.saturating_sub(SUB_BITS) as usize;
        if octave >= OCTAVES {
            return (OCTAVES - 1, SUB - 1);
        }
        let shift = octave.saturating_sub(1);
        (octave, (value >> shift) as usize & (SUB - 1))
    }

    /// The middle of a bucket.
    fn middle(octave: usize, sub: usize) -> f64 {
        if octave == 0 {
            return sub as f64;
        }
        let width = (1_u64 << (octave - 1)) as f64;
        (SUB as f64 + sub as f64 + 0.5) * width
    }

    fn record(&self, value: u64) {
        let (octave, sub) = Self::place(value);
        let buckets =
            self.octaves[octave].get_or_init(|| Box::new([const { AtomicU32::new(0) }; SUB]));
        buckets[sub].store(buckets[sub].load(Relaxed).saturating_add(1), Relaxed);
        if value > self.max.load(Relaxed) {
            self.max.store(value, Relaxed);
        }
    }

    fn quantiles(&self) -> Option<Quantiles> {
        let counts: Vec<(f64, u64)> = self
            .octaves
            .iter()
            .enumerate()
            .filter_map(|(octave, buckets)| Some((octave, buckets.get()?)))
            .flat_map(|(octave, buckets)| {
                buckets.iter().enumerate().map(move |(sub, count)| {
                    (Self::middle(octave, sub), u64::from(count.load(Relaxed)))
                })
            })
            .collect();
        let total: u64 = counts.iter().map(|&(_, count)| count).sum();
        if total == 0 {
            return None;
        }
        let max = self.max.load(Relaxed) as f64;
        let at = |q: f64| {
            let rank = (q * total as f64).ceil().max(1.0) as u64;
            let mut seen = 0;
            let found = counts.iter().find(|&&(_, count)| {
                seen += count;
                seen >= rank
            });
            // The middle of the last bucket may lie beyond its largest value.
            found.map_or(max, |&(middle, _)| middle.min(max)) / 1e6
        };
        Some(Quantiles { p50: at(0.5), p99: at(0.99), max: max / 1e6 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_close_to_their_values() {
        for value in (0..63).map(|bit| 1_u64 << bit).flat_map(|p| [p - 1, p, p + p / 3]) {
            let (octave, sub) = Histogram::place(value);
            assert!(octave < OCTAVES && sub < SUB);
            if value < 1 << (OCTAVES - 1 + 6) {
                let error = (Histogram::middle(octave, sub) - value as f64).abs();
                assert!(error <= value as f64 / 100.0, "{value} off by {error}");
            }
        }
    }

    #[test]
    fn quantiles_of_known_values() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantiles(), None);
        for n in 1..=1000 {
            histogram.record(n * 1_000_000);
        }
        let Quantiles { p50, p99, max } = histogram.quantiles().unwrap();
        assert!((p50 - 500.0).abs() < 5.0, "{p50}");
        assert!((p99 - 990.0).abs() < 10.0, "{p99}");
        assert_eq!(max, 1000.0);
    }

    #[test]
    fn a_constant_delay_is_reported_exactly() {
        let stats = SlotStats::default();
        for _ in 0..100 {
            stats.delivered(500_000, 20_000);
        }
        let held = stats.read().held.unwrap();
        assert!((held.p50 - 500.02).abs() < 0.001, "{held:?}");
        assert!((held.max - 500.02).abs() < 0.001, "{held:?}");
    }

    #[test]
    fn varying_delays_are_reported_from_their_distribution() {
        let stats = SlotStats::default();
        for us in 1..=1000 {
            stats.delivered(us * 100, 0);
        }
        let held = stats.read().held.unwrap();
        assert!((held.p50 - 50.0).abs() < 0.5, "{held:?}");
        assert_eq!(held.max, 100.0);
    }

    #[test]
    fn memory_is_taken_as_values_come() {
        let stats = SlotStats::default();
        for _ in 0..10_000 {
            stats.delivered(500_000, 20_000);
        }
        let touched = |h: &Histogram| h.octaves.iter().filter(|o| o.get().is_some()).count();
        assert_eq!(touched(&stats.held) + touched(&stats.late), 2);
    }
}
