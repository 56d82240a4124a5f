//! Parameters of what a rule does.
//!
//! Probabilities are fixed point with 32 fraction bits in a u64, so that
//! [`PROBABILITY_ONE`] is exact: a 32-bit draw is always below it.

/// Certainty.
pub const PROBABILITY_ONE: u64 = 1 << 32;

/// Which packets a loss rule drops. Which fields count depends on the action.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loss {
    /// Random: probability that a packet is lost.
    pub probability: u64,
    /// Random: probability that the previous decision is repeated.
    pub correlation: u64,
    /// Gilbert-Elliott: from the good to the bad state.
    pub good_to_bad: u64,
    /// Gilbert-Elliott: from the bad to the good state.
    pub bad_to_good: u64,
    /// Gilbert-Elliott: loss in the good state (1-k).
    pub loss_good: u64,
    /// Gilbert-Elliott: loss in the bad state (1-h).
    pub loss_bad: u64,
    /// Every: drop each n-th packet; at least 1.
    pub every: u64,
}

/// How long a delay rule holds a packet.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delay {
    /// Mean, in nanoseconds.
    pub ns: u64,
    /// Spread, in nanoseconds; below 2^36.
    pub jitter_ns: u64,
    /// Probability that the previous draw is repeated.
    pub correlation: u64,
    /// A `DISTRIBUTION_*` value.
    pub distribution: u32,
    /// Netem: the class that the packet is sent to.
    pub class: u32,
}

const _: () = {
    assert!(size_of::<Loss>() == 56);
    assert!(size_of::<Delay>() == 32);
};
