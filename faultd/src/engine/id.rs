//! Ids and seeds, drawn from the kernel's random number generator.

/// Without `l`, `o`, `0` and `1`, which people misread.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A fresh fault id: `f-` and six characters.
pub(super) fn fault_id() -> String {
    let random = random_u64();
    let mut id = String::from("f-");
    for i in 0..6 {
        id.push(char::from(ALPHABET[(random >> (5 * i)) as usize & 31]));
    }
    id
}

/// A fresh seed; of 32 bits, so that people can type it again.
pub(super) fn seed() -> u64 {
    random_u64() >> 32
}

fn random_u64() -> u64 {
    let mut bytes = [0_u8; 8];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: the pointer and length describe `rest`, which is writable.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        // EINTR is all that getrandom(2) answers without flags.
        filled += usize::try_from(got).unwrap_or(0);
    }
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_well_formed_and_rarely_repeat() {
        let ids: HashSet<String> = (0..1000).map(|_| fault_id()).collect();
        assert!(ids.len() > 990);
        for id in ids {
            let rest = id.strip_prefix("f-").unwrap();
            assert!(rest.len() == 6 && rest.bytes().all(|b| ALPHABET.contains(&b)), "{id}");
        }
    }

    #[test]
    fn seeds_fit_in_a_json_number() {
        assert!((0..100).all(|_| seed() < 1 << 53));
    }
}
