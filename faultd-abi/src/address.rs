//! Addresses as the classifier compares them.

/// An IPv6 address, or an IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`),
/// as two words that hold the network-order bytes in memory order. Equality
/// and masking work on the words; their numeric order means nothing.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Address {
    /// The 16 network-order bytes.
    pub words: [u64; 2],
}

/// The first eight bytes of every IPv4-mapped address.
const V4_HIGH: u64 = 0;

/// Bytes 8 to 11 of every IPv4-mapped address.
const V4_MIDDLE: [u8; 4] = [0, 0, 0xff, 0xff];

impl Address {
    /// An address from its 16 network-order bytes.
    #[inline(always)]
    #[must_use]
    pub const fn from_bytes(b: [u8; 16]) -> Self {
        Self {
            words: [
                u64::from_ne_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
                u64::from_ne_bytes([b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]]),
            ],
        }
    }

    /// An IPv4 address from its four network-order bytes.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4(b: [u8; 4]) -> Self {
        let m = V4_MIDDLE;
        Self {
            words: [V4_HIGH, u64::from_ne_bytes([m[0], m[1], m[2], m[3], b[0], b[1], b[2], b[3]])],
        }
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        let m = V4_MIDDLE;
        let middle = u32::from_ne_bytes([m[0], m[1], m[2], m[3]]);
        // The first half in memory is the lower one: little endian (see
        // `xtask`'s toolchain), like every host of the programs.
        self.words[0] == V4_HIGH && self.words[1] as u32 == middle
    }

    /// The 16 network-order bytes.
    #[inline(always)]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        let a = self.words[0].to_ne_bytes();
        let b = self.words[1].to_ne_bytes();
        [
            a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], b[0], b[1], b[2], b[3], b[4], b[5],
            b[6], b[7],
        ]
    }
}

/// An address prefix: matches `a` when `a & mask == address`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Prefix {
    /// The network address, host bits zero.
    pub address: Address,
    /// Ones for the network bits.
    pub mask: Address,
}

impl Prefix {
    /// The prefix of the first `len` bits of `address` (IPv4: `len` + 96).
    #[must_use]
    pub const fn new(address: Address, len: u8) -> Self {
        let bits = if len == 0 {
            0
        } else {
            u128::MAX << (128 - if len > 128 { 128 } else { len as u32 })
        };
        let mask = Address::from_bytes(bits.to_be_bytes());
        let words = [address.words[0] & mask.words[0], address.words[1] & mask.words[1]];
        Self { address: Address { words }, mask }
    }

    /// Whether `address` is inside.
    #[inline(always)]
    #[must_use]
    pub const fn contains(&self, address: &Address) -> bool {
        self.difference(address) == 0
    }

    /// 0 if `address` is inside.
    #[inline(always)]
    #[must_use]
    pub const fn difference(&self, address: &Address) -> u64 {
        ((address.words[0] & self.mask.words[0]) ^ self.address.words[0])
            | ((address.words[1] & self.mask.words[1]) ^ self.address.words[1])
    }
}

const _: () = {
    assert!(size_of::<Address>() == 16);
    assert!(size_of::<Prefix>() == 32);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_keeps_its_bytes() {
        let bytes = Address::from_v4([192, 0, 2, 1]).to_bytes();
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
        assert_eq!(Address::from_bytes(bytes), Address::from_v4([192, 0, 2, 1]));
        assert!(Address::from_bytes(bytes).is_v4());
        for i in 0..12 {
            let mut other = bytes;
            other[i] ^= 1;
            assert!(!Address::from_bytes(other).is_v4(), "byte {i}");
        }
    }

    #[test]
    fn prefixes_of_every_length_contain_what_they_should() {
        let address = Address::from_bytes([0xaa; 16]);
        for len in 0..=128_u8 {
            let prefix = Prefix::new(address, len);
            assert!(prefix.contains(&address), "/{len}");
            for bit in 0..128_u8 {
                let mut bytes = [0xaa; 16];
                bytes[usize::from(bit / 8)] ^= 0x80 >> (bit % 8);
                let inside = prefix.contains(&Address::from_bytes(bytes));
                assert_eq!(inside, bit >= len, "/{len}, bit {bit} flipped");
            }
        }
    }
}
