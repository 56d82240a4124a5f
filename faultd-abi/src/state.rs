//! What a rule remembers between packets.

/// Memory of one rule, shared by all CPUs (map `STATE`, by slot).
///
/// Only `packets` is atomic. A lost update of the others, when two CPUs meet
/// in one rule at the same instant, shifts a correlation by one packet; the
/// share of packets lost stays exact.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleState {
    /// Packets that asked for a decision: the counter of the random numbers.
    pub packets: u64,
    /// The previous draw (delay) or decision (loss).
    pub previous: u64,
    /// Gilbert-Elliott: not zero in the bad state.
    pub bad: u64,
}

const _: () = assert!(size_of::<RuleState>() == 24);
