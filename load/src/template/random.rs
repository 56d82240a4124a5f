//! Draws of one user: fast, and the same for the same seed.

use faultd_abi::splitmix64;

/// A stream of draws.
#[derive(Debug, Clone)]
pub struct Draws {
    seed: u64,
    next: u64,
}

const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HEX: &[u8; 16] = b"0123456789abcdef";

impl Draws {
    /// The stream of user number `user` in a run with this seed.
    pub fn new(seed: u64, user: u64) -> Self {
        // Mixed twice, so that streams of neighbours do not overlap.
        Self { seed: splitmix64(splitmix64(seed, 0), user), next: 0 }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let bits = splitmix64(self.seed, self.next);
        self.next = self.next.wrapping_add(1);
        bits
    }

    /// Evenly from 0 to `below` - 1; `below` is above zero. The bias of the
    /// multiplication is below 2^-32 for every bound that people write.
    pub fn below(&mut self, below: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(below)) >> 64) as u64
    }

    /// Evenly between two bounds, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.wrapping_sub(low) as u64;
        match width.checked_add(1) {
            Some(count) => low.wrapping_add(self.below(count) as i64),
            None => self.bits() as i64,
        }
    }

    /// Appends `count` arbitrary bytes.
    pub fn bytes(&mut self, out: &mut Vec<u8>, count: usize) {
        out.reserve(count);
        for _ in 0..count / 8 {
            out.extend_from_slice(&self.bits().to_le_bytes());
        }
        let rest = self.bits().to_le_bytes();
        out.extend_from_slice(&rest[..count % 8]);
    }

    /// Appends `count` letters and digits.
    pub fn alphanumeric(&mut self, out: &mut Vec<u8>, count: usize) {
        out.reserve(count);
        let mut left = count;
        while left > 0 {
            let mut bits = self.bits();
            // Four draws of 16 bits each: a character is off from even by less than 0.1 %.
            for _ in 0..left.min(4) {
                out.push(ALPHANUMERIC[(((bits & 0xffff) * 62) >> 16) as usize]);
                bits >>= 16;
            }
            left -= left.min(4);
        }
    }

    /// Appends `count` hexadecimal digits.
    pub fn hex(&mut self, out: &mut Vec<u8>, count: usize) {
        out.reserve(count);
        let mut left = count;
        while left > 0 {
            let mut bits = self.bits();
            for _ in 0..left.min(16) {
                out.push(HEX[(bits & 15) as usize]);
                bits >>= 4;
            }
            left -= left.min(16);
        }
    }

    /// Appends a version 4 UUID (RFC 9562, section 5.4).
    pub fn uuid(&mut self, out: &mut Vec<u8>) {
        let high = self.bits() & !0xf000 | 0x4000;
        let low = self.bits() & !(0b11 << 62) | 0b10 << 62;
        for (at, byte) in high.to_be_bytes().into_iter().chain(low.to_be_bytes()).enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                out.push(b'-');
            }
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(draw: impl FnOnce(&mut Draws, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        draw(&mut Draws::new(7, 3), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn draws_follow_from_seed_and_user() {
        let first = |seed, user| Draws::new(seed, user).bits();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
        assert_ne!(first(1, 2), first(2, 1));
    }

    #[test]
    fn bounds_are_included_and_never_passed() {
        let mut draws = Draws::new(1, 1);
        let drawn: Vec<i64> = (0..1000).map(|_| draws.between(-2, 2)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&-2), Some(&2)));
        assert_eq!(draws.between(5, 5), 5);
        draws.between(i64::MIN, i64::MAX);
    }

    #[test]
    fn lengths_and_alphabets() {
        for count in [0, 1, 3, 4, 5, 8, 17, 1000] {
            let mut bytes = Vec::new();
            Draws::new(1, 1).bytes(&mut bytes, count);
            assert_eq!(bytes.len(), count);
            let letters = text(|draws, out| draws.alphanumeric(out, count));
            assert!(letters.len() == count && letters.bytes().all(|b| b.is_ascii_alphanumeric()));
            let hex = text(|draws, out| draws.hex(out, count));
            assert!(hex.len() == count && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        let all = text(|draws, out| draws.alphanumeric(out, 10_000));
        assert!(ALPHANUMERIC.iter().all(|c| all.bytes().filter(|b| b == c).count() > 80));
    }

    #[test]
    fn uuids_have_their_version_and_variant() {
        let uuid = text(Draws::uuid);
        let parts: Vec<&str> = uuid.split('-').collect();
        assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{uuid}");
    }
}
