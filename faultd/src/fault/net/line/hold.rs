//! The hold: frames in the order in which they are due.
//!
//! A rule with a constant delay yields deadlines that never go backwards, so
//! its frames fit a plain queue. Several such rules at once need one queue
//! each, and jitter needs a few more. [`Hold`] therefore keeps a handful of
//! sorted queues ("lanes") and puts a frame behind the latest tail that is
//! not later than it (the dealing rule of patience sorting: it keeps the
//! number of lanes as small as it can be). What fits no lane goes to a heap,
//! which only wide jitter reaches.
//!
//! Frames with equal deadlines leave in the order in which they came.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
};

/// Enough for eight different constant delays at a time; looking through the
/// heads of eight lanes touches less memory than one step of a heap.
const LANES: usize = 8;

/// Below this capacity an idle queue keeps its memory.
const KEEP_CAPACITY: usize = 256;

/// Something held until its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held<T> {
    /// When it is due, CLOCK_BOOTTIME in ns.
    pub deadline: u64,
    seq: u64,
    /// What is held.
    pub item: T,
}

impl<T> Held<T> {
    const fn key(&self) -> (u64, u64) {
        (self.deadline, self.seq)
    }
}

/// Heap entries compare by key alone.
#[derive(Debug)]
struct Spilled<T>(Held<T>);

impl<T> PartialEq for Spilled<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl<T> Eq for Spilled<T> {}

impl<T> PartialOrd for Spilled<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Spilled<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key().cmp(&other.0.key())
    }
}

/// Frames in the order in which they are due.
#[derive(Debug)]
pub(super) struct Hold<T> {
    lanes: [VecDeque<Held<T>>; LANES],
    spill: BinaryHeap<Reverse<Spilled<T>>>,
    seq: u64,
}

/// Where the earliest entry is.
#[derive(Clone, Copy)]
enum Head {
    Lane(usize),
    Spill,
}

impl<T> Hold<T> {
    pub fn new() -> Self {
        Self { lanes: Default::default(), spill: BinaryHeap::new(), seq: 0 }
    }

    /// Adds an item that is due at `deadline`.
    pub fn push(&mut self, deadline: u64, item: T) {
        let held = Held { deadline, seq: self.seq, item };
        self.seq += 1;
        match self.lane_for(deadline) {
            Some(lane) => self.lanes[lane].push_back(held),
            None => self.spill.push(Reverse(Spilled(held))),
        }
    }

    /// The lane with the latest tail that `deadline` may stand behind; an
    /// empty lane only if there is no other.
    fn lane_for(&self, deadline: u64) -> Option<usize> {
        let tail = |lane: &VecDeque<Held<T>>| lane.back().map(|held| held.deadline);
        (0..LANES)
            .filter(|&lane| tail(&self.lanes[lane]).is_none_or(|tail| tail <= deadline))
            .max_by_key(|&lane| tail(&self.lanes[lane]))
    }

    fn head(&self) -> Option<(Head, (u64, u64))> {
        let lanes = self
            .lanes
            .iter()
            .enumerate()
            .filter_map(|(lane, queue)| Some((Head::Lane(lane), queue.front()?.key())));
        let spill = self.spill.peek().map(|Reverse(spilled)| (Head::Spill, spilled.0.key()));
        lanes.chain(spill).min_by_key(|&(_, key)| key)
    }

    /// When the earliest entry is due.
    pub fn next_deadline(&self) -> Option<u64> {
        self.head().map(|(_, (deadline, _))| deadline)
    }

    /// Takes the earliest entry if it is due at `now`.
    pub fn pop_due(&mut self, now: u64) -> Option<Held<T>> {
        let (head, (deadline, _)) = self.head()?;
        if deadline > now {
            return None;
        }
        match head {
            Head::Lane(lane) => self.lanes[lane].pop_front(),
            Head::Spill => self.spill.pop().map(|Reverse(spilled)| spilled.0),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.spill.is_empty() && self.lanes.iter().all(VecDeque::is_empty)
    }

    /// Takes out every entry that `wanted` accepts, in the order due.
    pub fn extract(&mut self, wanted: impl Fn(&T) -> bool) -> Vec<Held<T>> {
        let mut out = Vec::new();
        for lane in &mut self.lanes {
            // Splitting in place keeps each lane sorted.
            for held in std::mem::take(lane) {
                if wanted(&held.item) {
                    out.push(held);
                } else {
                    lane.push_back(held);
                }
            }
        }
        for Reverse(spilled) in std::mem::take(&mut self.spill) {
            if wanted(&spilled.0.item) {
                out.push(spilled.0);
            } else {
                self.spill.push(Reverse(spilled));
            }
        }
        out.sort_unstable_by_key(Held::key);
        out
    }

    /// Gives memory of past bursts back.
    pub fn shrink(&mut self) {
        for lane in &mut self.lanes {
            lane.shrink_to(KEEP_CAPACITY);
        }
        self.spill.shrink_to(KEEP_CAPACITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(hold: &mut Hold<u32>, now: u64) -> Vec<u32> {
        std::iter::from_fn(|| hold.pop_due(now)).map(|held| held.item).collect()
    }

    /// A small generator: tests must not depend on chance.
    fn scrambled(n: u64) -> u64 {
        let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 31)
    }

    #[test]
    fn nothing_leaves_before_its_deadline() {
        let mut hold = Hold::new();
        hold.push(100, 1);
        assert_eq!(hold.pop_due(99), None);
        assert_eq!(hold.next_deadline(), Some(100));
        assert_eq!(drain(&mut hold, 100), [1]);
        assert!(hold.is_empty());
        assert_eq!(hold.next_deadline(), None);
    }

    #[test]
    fn a_constant_delay_uses_one_lane() {
        let mut hold = Hold::new();
        for n in 0..1000 {
            hold.push(u64::from(n), n);
        }
        assert_eq!(hold.lanes.iter().filter(|lane| !lane.is_empty()).count(), 1);
        assert_eq!(drain(&mut hold, 1000), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn eight_constant_delays_use_no_heap() {
        let mut hold = Hold::new();
        for n in 0..4000_u64 {
            hold.push(n + (n % 8) * 1000, 0);
        }
        assert!(hold.spill.is_empty());
    }

    #[test]
    fn equal_deadlines_keep_arrival_order() {
        let mut hold = Hold::new();
        // Forces entries with the same deadline into lanes and the heap alike.
        for round in 0..20_u32 {
            for deadline in [50_u64, 40, 30, 20, 10, 45, 35, 25, 15, 5, 1] {
                hold.push(deadline, round);
            }
        }
        assert!(!hold.spill.is_empty());
        let mut last = (0, 0);
        while let Some(held) = hold.pop_due(u64::MAX) {
            assert!((held.deadline, held.item) >= last, "{held:?} after {last:?}");
            last = (held.deadline, held.item);
        }
        assert_eq!(last, (50, 19));
    }

    #[test]
    fn jitter_comes_out_sorted() {
        let mut hold = Hold::new();
        for n in 0..10_000 {
            hold.push(n * 10 + scrambled(n) % 100_000, 0_u32);
        }
        let mut out = Vec::new();
        while let Some(held) = hold.pop_due(u64::MAX) {
            out.push(held.deadline);
        }
        assert_eq!(out.len(), 10_000);
        assert!(out.is_sorted());
    }

    #[test]
    fn pushing_and_popping_may_interleave() {
        let mut hold = Hold::new();
        let (mut taken, mut last) = (0, 0);
        for now in 0..20_000_u64 {
            hold.push(now + 1 + scrambled(now) % 500, 0_u32);
            while let Some(held) = hold.pop_due(now) {
                assert!(held.deadline <= now && held.deadline >= last);
                last = held.deadline;
                taken += 1;
            }
        }
        assert_eq!(taken + hold.extract(|_| true).len(), 20_000);
    }

    #[test]
    fn extract_takes_one_rules_frames_in_order_and_leaves_the_rest() {
        let mut hold = Hold::new();
        for n in 0..1000 {
            hold.push(scrambled(n) % 10_000, u32::try_from(n % 3).unwrap());
        }
        let out = hold.extract(|&slot| slot == 1);
        assert_eq!(out.len(), 333);
        assert!(out.is_sorted_by_key(|held| (held.deadline, held.seq)));
        assert!(hold.extract(|&slot| slot == 1).is_empty());
        let mut rest = Vec::new();
        while let Some(held) = hold.pop_due(u64::MAX) {
            rest.push(held.deadline);
        }
        assert_eq!(rest.len(), 667);
        assert!(rest.is_sorted());
    }

    #[test]
    fn shrink_returns_memory() {
        let mut hold = Hold::new();
        for n in 0..100_000 {
            hold.push(n, 0_u32);
        }
        drain(&mut hold, u64::MAX);
        hold.shrink();
        assert!(hold.lanes.iter().all(|lane| lane.capacity() <= KEEP_CAPACITY));
    }
}
