//! Which calls a fault hits. One thread decides, so counts are exact however
//! many threads make calls.

use std::time::Duration;

use faultd_abi::splitmix64;
use faultd_api::SyscallParams;
use serde::Serialize;

/// What a fault met and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls that the fault names, on the path it names.
    pub matched: u64,
    /// Of those: failed, delayed or both.
    pub affected: u64,
    /// Failed.
    pub failed: u64,
    /// Delayed.
    pub delayed: u64,
    /// Calls whose path could not be read, and which went on.
    pub unreadable: u64,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// It takes this much longer.
    pub delay: Duration,
    /// It fails with this error number then.
    pub errno: Option<u16>,
}

impl Effect {
    /// With another fault's effect: delays add up, the first error stays.
    pub fn and(self, other: Self) -> Self {
        Self { delay: self.delay + other.delay, errno: self.errno.or(other.errno) }
    }
}

/// Decides for one fault.
#[derive(Debug)]
pub struct Decision {
    choice: Choice,
    max: Option<u64>,
    seed: u64,
    effect: Effect,
    counts: Counts,
}

#[derive(Debug)]
enum Choice {
    All,
    /// Below this, a draw of 32 bits hits.
    Random(u64),
    Every(u64),
    First(u64),
}

impl Decision {
    /// For validated parameters.
    pub fn new(params: &SyscallParams, seed: u64) -> Self {
        let choice = match (params.percent, params.every, params.first) {
            (Some(percent), ..) => {
                Choice::Random((percent / 100.0 * 2_f64.powi(32)).round() as u64)
            }
            (_, Some(every), _) => Choice::Every(every.into()),
            (_, _, Some(first)) => Choice::First(first.into()),
            _ => Choice::All,
        };
        let delay = Duration::from_secs_f64(params.delay_ms.unwrap_or_default() / 1000.0);
        let errno = params.errno.map(|errno| errno.number());
        let max = params.max.map(u64::from);
        Self { choice, max, seed, effect: Effect { delay, errno }, counts: Counts::default() }
    }

    /// A call that matches: what becomes of it.
    pub fn meet(&mut self) -> Effect {
        let number = self.counts.matched;
        self.counts.matched += 1;
        let hit = match self.choice {
            Choice::All => true,
            Choice::Random(below) => splitmix64(self.seed, number) >> 32 < below,
            Choice::Every(n) => (number + 1).is_multiple_of(n),
            Choice::First(n) => number < n,
        };
        if !hit || self.max.is_some_and(|max| self.counts.affected >= max) {
            return Effect::default();
        }
        self.counts.affected += 1;
        self.counts.failed += u64::from(self.effect.errno.is_some());
        self.counts.delayed += u64::from(!self.effect.delay.is_zero());
        self.effect
    }

    /// A call of which nobody can tell whether it matches.
    pub fn unreadable(&mut self) {
        self.counts.unreadable += 1;
    }

    /// What it met and did so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Which of the first `n` calls fail.
    fn hits(mut params: serde_json::Value, n: usize) -> Vec<usize> {
        params["call"] = json!(["read"]);
        params["errno"] = json!("EIO");
        let mut decision = Decision::new(&serde_json::from_value(params).unwrap(), 42);
        (0..n).filter(|_| decision.meet().errno == Some(5)).collect()
    }

    #[test]
    fn calls_are_chosen_by_their_number() {
        assert_eq!(hits(json!({}), 3), [0, 1, 2]);
        assert_eq!(hits(json!({"every": 3}), 10), [2, 5, 8]);
        assert_eq!(hits(json!({"first": 2}), 10), [0, 1]);
        assert_eq!(hits(json!({"every": 2, "max": 2}), 10), [1, 3]);
        assert_eq!(hits(json!({"percent": 100}), 3), [0, 1, 2]);
    }

    #[test]
    fn a_share_is_kept_and_can_be_repeated() {
        let some = hits(json!({"percent": 10}), 100_000);
        // Five standard deviations: sqrt(100000 * 0.1 * 0.9) = 95.
        assert!((9_525..10_475).contains(&some.len()), "{}", some.len());
        assert_eq!(hits(json!({"percent": 10}), 100_000), some);
    }

    #[test]
    fn effects_of_several_faults_add_up() {
        let slow = Effect { delay: Duration::from_millis(2), errno: None };
        let full = Effect { delay: Duration::ZERO, errno: Some(28) };
        let broken = Effect { delay: Duration::from_millis(3), errno: Some(5) };
        let all = slow.and(full).and(broken);
        assert_eq!(all, Effect { delay: Duration::from_millis(5), errno: Some(28) });
    }
}
