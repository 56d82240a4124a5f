//! When each user of the closed-model stages is at work.

use super::{SECOND, nanos};
use crate::plan::{Arrival, Stage};

/// The users of all stages that have any, numbered from 0.
///
/// User `k` is at work while more than `k` users are asked for, so the first ones to come are the
/// last ones to go.
#[derive(Debug, Clone, Default)]
pub struct Users {
    stretches: Vec<Stretch>,
    end: u64,
}

/// A stage with users.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    stage: usize,
    start: u64,
    length: u64,
    from: f64,
    to: f64,
}

impl Stretch {
    fn end(&self) -> u64 {
        self.start + self.length
    }

    /// When the number of users, on its way from `from` to `to`, is `count`.
    fn crossing(&self, count: f64) -> u64 {
        let share = ((count - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.start + (share * self.length as f64) as u64
    }

    /// When user `user` is at work, as a stretch of time; `None`: never.
    fn of(&self, user: u32) -> Option<(u64, u64)> {
        let user = f64::from(user);
        match (self.from > user, self.to > user) {
            (true, true) => Some((self.start, self.end())),
            (true, false) => Some((self.start, self.crossing(user))),
            (false, true) => Some((self.crossing(user), self.end())),
            (false, false) => None,
        }
    }
}

impl Users {
    /// The users of `stages`, which follow each other.
    #[must_use]
    pub fn new(stages: &[Stage]) -> Self {
        let mut start = 0;
        let mut stretches = Vec::new();
        for (stage, at) in stages.iter().enumerate() {
            let length = nanos(at.duration);
            if let Arrival::Users { from, to } = at.arrival {
                let (from, to) = (f64::from(from), f64::from(to));
                stretches.push(Stretch { stage, start, length, from, to });
            }
            start += length;
        }
        Self { stretches, end: start }
    }

    /// The most users that are at work at once.
    #[must_use]
    pub fn most(&self) -> u32 {
        let most = self.stretches.iter().map(|s| s.from.max(s.to)).fold(0.0, f64::max);
        most as u32
    }

    /// The stretch of time in which `user` is at work at `time`, or the next one after it;
    /// `None`: there is none any more. Stages that follow each other make one stretch.
    #[must_use]
    pub fn shift(&self, user: u32, time: u64) -> Option<(u64, u64)> {
        let mut found: Option<(u64, u64)> = None;
        for (start, end) in self.stretches.iter().filter_map(|stretch| stretch.of(user)) {
            match &mut found {
                Some((_, until)) if *until == start => *until = end,
                Some(_) => break,
                None if end > time => found = Some((start, end)),
                None => {}
            }
        }
        found
    }

    /// How many are asked for at `time`.
    #[must_use]
    pub fn asked_at(&self, time: u64) -> u32 {
        let at = self.stretches.iter().find(|s| s.start <= time && time < s.end());
        at.map_or(0, |s| {
            let share = (time - s.start) as f64 / s.length as f64;
            (s.to - s.from).mul_add(share, s.from).ceil() as u32
        })
    }

    /// The stage with users that `time` is in.
    #[must_use]
    pub fn stage_at(&self, time: u64) -> Option<usize> {
        self.stretches.iter().find(|s| s.start <= time && time < s.end()).map(|s| s.stage)
    }

    /// The end of the last stage, in whole seconds rounded up.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.end.div_ceil(SECOND)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stage(from: u32, to: u32, seconds: u64) -> Stage {
        Stage {
            name: String::new(),
            duration: Duration::from_secs(seconds),
            arrival: Arrival::Users { from, to },
            mix: vec![(0, 1.0)],
        }
    }

    #[test]
    fn up_hold_and_down_is_one_shift() {
        let users = Users::new(&[stage(0, 100, 10), stage(100, 100, 5), stage(100, 0, 10)]);
        assert_eq!(users.most(), 100);
        assert_eq!(users.shift(0, 0), Some((0, 25 * SECOND)));
        assert_eq!(users.shift(50, 0), Some((5 * SECOND, 20 * SECOND)));
        assert_eq!(users.shift(50, 20 * SECOND), None);
        assert_eq!(users.shift(100, 0), None);
        assert_eq!(users.asked_at(12 * SECOND), 100);
        assert_eq!(users.asked_at(5 * SECOND), 50);
        assert_eq!(users.stage_at(16 * SECOND), Some(2));
        assert_eq!(users.stage_at(25 * SECOND), None);
    }

    #[test]
    fn a_spike_is_two_shifts() {
        let users = Users::new(&[stage(10, 10, 1), stage(2, 2, 1), stage(10, 10, 1)]);
        assert_eq!(users.shift(1, 0), Some((0, 3 * SECOND)));
        assert_eq!(users.shift(5, 0), Some((0, SECOND)));
        assert_eq!(users.shift(5, SECOND), Some((2 * SECOND, 3 * SECOND)));
    }
}
