//! The filter in front of the index: a bitmap that tells most packets that no
//! rule is for them without a look-up in a hash map or a trie, each of which
//! costs as much as the rest of a packet's way.
//!
//! For every key in the index the bit that [`FilterBit::of`] names is set; a
//! bit that is clear means that there is no such key. Address prefixes are
//! looked for at a few lengths only ([`FILTER_LENGTHS`]): one of another length
//! is entered at the next shorter of these.

use crate::{Address, Prefix};

/// Elements (u64) of the map `FILTER`.
pub const FILTER_WORDS: u32 = 1 << 10;

/// Keys are the socket's users.
pub const FILTER_USER: u64 = 1;
/// Keys are cgroup ids.
pub const FILTER_CGROUP: u64 = 2;
/// Keys are interface indexes.
pub const FILTER_INTERFACE: u64 = 3;
/// Keys are prefixes of the n-th of [`FILTER_LENGTHS`]: this and n.
const FILTER_PREFIX: u64 = 4;

/// Prefix lengths that the filter knows, in bits of an [`Address`].
pub const FILTER_LENGTHS: [u8; 11] = [104, 108, 112, 116, 120, 124, 128, 32, 48, 56, 64];

/// Which of them IPv4 addresses have, by bit.
pub const FILTER_LENGTHS_V4: u32 = 0b000_0111_1111;
/// Which of them IPv6 addresses have.
pub const FILTER_LENGTHS_V6: u32 = 0b111_1100_0000;
/// There is a prefix shorter than all of its family: every address passes.
pub const FILTER_ALL: u32 = 1 << 31;

/// A place in the bitmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilterBit(u16);

impl FilterBit {
    /// Of a key of one or two words. Multiply-shift hashing: the top bits
    /// depend on all bits of the key.
    #[inline(always)]
    #[must_use]
    pub const fn of(kind: u64, key: [u64; 2]) -> Self {
        const ODD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];
        let mixed = (key[0] ^ kind).wrapping_mul(ODD[0]) ^ key[1].rotate_left(32);
        Self((mixed.wrapping_mul(ODD[1]) >> 48) as u16)
    }

    /// Of an address, cut to the `n`-th length.
    #[inline(always)]
    #[must_use]
    pub const fn of_address(n: usize, address: &Address) -> Self {
        let mask = MASKS[n].words;
        let words = [address.words[0] & mask[0], address.words[1] & mask[1]];
        Self::of(FILTER_PREFIX + n as u64, words)
    }

    /// The element of the map.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0 as u32 / u64::BITS
    }

    /// The bit in it.
    #[inline(always)]
    #[must_use]
    pub const fn mask(self) -> u64 {
        1 << (self.0 as u32 % u64::BITS)
    }
}

const MASKS: [Address; FILTER_LENGTHS.len()] = {
    let mut masks = [Address { words: [0; 2] }; FILTER_LENGTHS.len()];
    let mut n = 0;
    while n < masks.len() {
        masks[n] = Prefix::new(Address { words: [0; 2] }, FILTER_LENGTHS[n]).mask;
        n += 1;
    }
    masks
};

/// The lengths of an address's family, by bit.
#[inline(always)]
#[must_use]
pub const fn filter_lengths(address: &Address) -> u32 {
    if address.is_v4() { FILTER_LENGTHS_V4 } else { FILTER_LENGTHS_V6 }
}

/// At which of [`FILTER_LENGTHS`] a prefix of `len` bits is entered: the
/// longest of its family that is not longer. `None`: there is none, so that
/// every address has to pass.
#[must_use]
pub fn filter_length(prefix: &Prefix, len: u8) -> Option<usize> {
    let of_v4 = prefix.address.is_v4() && len >= 96;
    let family = if of_v4 { FILTER_LENGTHS_V4 } else { FILTER_LENGTHS_V6 };
    (0..FILTER_LENGTHS.len())
        .filter(|n| family >> n & 1 != 0 && FILTER_LENGTHS[*n] <= len)
        .max_by_key(|n| FILTER_LENGTHS[*n])
}

const _: () = assert!(FILTER_WORDS * u64::BITS == u16::MAX as u32 + 1);

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(prefix: Prefix, len: u8) -> Option<u8> {
        filter_length(&prefix, len).map(|n| FILTER_LENGTHS[n])
    }

    #[test]
    fn a_prefix_is_entered_at_a_length_of_its_family_that_is_not_longer() {
        let v4 =
            |len: u8| entered(Prefix::new(Address::from_v4([10, 1, 2, 3]), 96 + len), 96 + len);
        assert_eq!([0, 7, 8, 11, 12, 24, 31, 32].map(v4), {
            [None, None, Some(104), Some(104), Some(108), Some(120), Some(124), Some(128)]
        });
        let address = Address::from_bytes([0x20; 16]);
        let v6 = |len: u8| entered(Prefix::new(address, len), len);
        assert_eq!([0, 31, 32, 63, 64, 104, 127, 128].map(v6), {
            [None, None, Some(32), Some(56), Some(64), Some(64), Some(64), Some(128)]
        });
    }

    /// Every address of a prefix finds the bit that the prefix is entered at.
    #[test]
    fn no_address_of_a_prefix_is_overlooked() {
        for base in [Address::from_v4([172, 16, 200, 7]), Address::from_bytes([0xfd; 16])] {
            let shortest = if base.is_v4() { 96 } else { 0 };
            for len in shortest..=128 {
                let prefix = Prefix::new(base, len);
                let Some(n) = filter_length(&prefix, len) else { continue };
                let bit = FilterBit::of_address(n, &prefix.address);
                for flipped in len..128 {
                    let mut bytes = base.to_bytes();
                    bytes[usize::from(flipped / 8)] ^= 0x80 >> (flipped % 8);
                    let address = Address::from_bytes(bytes);
                    assert!(filter_lengths(&address) >> n & 1 != 0, "/{len}");
                    assert_eq!(FilterBit::of_address(n, &address), bit, "/{len}, bit {flipped}");
                }
            }
        }
    }

    /// What lies side by side is spread: few of a thousand share a bit.
    #[test]
    fn neighbours_have_bits_of_their_own() {
        let users = |i: u64| FilterBit::of(FILTER_USER, [i, 0]);
        let groups = |i: u64| FilterBit::of(FILTER_CGROUP, [4000 + i, 0]);
        let hosts = |i: u64| {
            let [.., a, b] = i.to_be_bytes();
            FilterBit::of_address(6, &Address::from_v4([10, 0, a, b]))
        };
        let networks = |i: u64| {
            let [.., a, b] = i.to_be_bytes();
            FilterBit::of_address(4, &Address::from_v4([10, a, b, 0]))
        };
        let v6 = |i: u64| {
            let mut bytes = [0xfd; 16];
            bytes[8..].copy_from_slice(&i.to_be_bytes());
            FilterBit::of_address(6, &Address::from_bytes(bytes))
        };
        let keys: [(&str, &dyn Fn(u64) -> FilterBit); 5] = [
            ("users", &users),
            ("groups", &groups),
            ("hosts", &hosts),
            ("networks", &networks),
            ("v6", &v6),
        ];
        for (what, key) in keys {
            let mut seen = [false; 1 << 16];
            let mut shared = 0;
            for i in 0..1000 {
                let bit = key(i);
                let at = bit.word() * 64 + bit.mask().trailing_zeros();
                shared += u32::from(core::mem::replace(&mut seen[at as usize], true));
            }
            // Chance would have seven or eight.
            assert!(shared < 30, "{what}: {shared} of a thousand share a bit");
        }
    }
}
