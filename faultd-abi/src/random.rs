//! Random numbers that can be repeated: a hash of a seed and of a number, drawn
//! alike in the kernel and outside. No state, so no lock.

/// The golden ratio as a fraction of 2^64, splitmix64's increment.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The `n`-th output of splitmix64 (Steele, Lea, Flood: Fast Splittable
/// Pseudorandom Number Generators, 2014) seeded with `seed`.
#[inline(always)]
pub const fn splitmix64(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(GAMMA));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outputs_are_those_of_the_reference() {
        // splitmix64.c of Vigna, seeded with 1234567.
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([0, 1, 2].map(|n| splitmix64(1_234_567, n)), expected);
    }
}
