//! Exact times of arrivals, computed before the run from its stages alone.
//!
//! All times are nanoseconds since the start of the run. Arrivals are numbered; number `k` is due
//! when the integral of the rate reaches `k`, so counts are exact whatever the shape, and several
//! workers share them by number without talking to each other.

mod rates;
mod users;

pub use rates::Rates;
pub use users::Users;

use std::time::Duration;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// `duration` in nanoseconds; centuries are cut short.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Picks from a weighted mix for arrival `number`: proportions are exact to within a few
/// arrivals and well interleaved, because the multiples of the golden ratio fill the unit
/// interval evenly.
#[must_use]
pub fn pick(mix: &[(usize, f64)], number: u64, seed: u64) -> usize {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let total: f64 = mix.iter().map(|(_, weight)| weight).sum();
    let unit = number.wrapping_mul(GOLDEN).wrapping_add(seed) as f64 / u64::MAX as f64;
    let mut left = unit * total;
    for &(flow, weight) in mix {
        left -= weight;
        if left < 0.0 {
            return flow;
        }
    }
    mix.last().map_or(0, |&(flow, _)| flow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_exact_to_within_a_few() {
        let mix = [(0, 3.0), (1, 1.0), (2, 6.0)];
        let mut counts = [0_u32; 3];
        for number in 0..10_000 {
            counts[pick(&mix, number, 42)] += 1;
        }
        for (count, expected) in counts.into_iter().zip([3000, 1000, 6000]) {
            assert!(count.abs_diff(expected) <= 5, "{counts:?}");
        }
    }
}
