//! Random numbers that can be repeated: a hash of the rule's seed and of the
//! packet's number within the rule. No state, so no lock.

/// The golden ratio as a fraction of 2^64, splitmix64's increment.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The `n`-th output of splitmix64 (Steele, Lea, Flood: Fast Splittable
/// Pseudorandom Number Generators, 2014) seeded with `seed`.
#[inline(always)]
pub const fn draw(seed: u64, n: u64) -> Draw {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(GAMMA));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Draw(z ^ (z >> 31))
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
