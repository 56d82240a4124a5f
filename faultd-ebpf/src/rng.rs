//! Random numbers that can be repeated: a hash of the rule's seed and of the
//! packet's number within the rule. No state, so no lock.

use faultd_abi::splitmix64;

/// The `n`-th draw of a rule with `seed`.
#[inline(always)]
pub const fn draw(seed: u64, n: u64) -> Draw {
    Draw(splitmix64(seed, n))
}

/// 64 random bits, used as two independent halves.
#[derive(Clone, Copy)]
pub struct Draw(u64);

impl Draw {
    /// 32 bits, for comparison with a probability.
    #[inline(always)]
    pub const fn high(self) -> u64 {
        self.0 >> 32
    }

    /// 32 other bits.
    #[inline(always)]
    pub const fn low(self) -> u64 {
        self.0 & 0xffff_ffff
    }
}
