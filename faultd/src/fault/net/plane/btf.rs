//! Where the members of a kernel structure are, from the kernel's own type
//! information (Documentation/bpf/btf.rst).
//!
//! Just enough of a reader: it looks for one structure and keeps nothing, where
//! a full parse of the kernel's types takes 10 MiB.

use std::{fs, io};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;

// Kinds, include/uapi/linux/btf.h.
const INT: u32 = 1;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const ENUM64: u32 = 19;

/// `sizeof(struct btf_type)`.
const TYPE: usize = 12;
/// `sizeof(struct btf_member)`.
const MEMBER: usize = 12;

/// Byte offsets of members of a structure of the running kernel.
///
/// # Errors
/// When the kernel has no type information, or no such structure or member.
pub fn offsets<const N: usize>(name: &str, members: [&str; N]) -> io::Result<[u32; N]> {
    find(&fs::read(VMLINUX)?, name, members)
}

fn find<const N: usize>(btf: &[u8], name: &str, members: [&str; N]) -> io::Result<[u32; N]> {
    let reader = Reader::new(btf).ok_or_else(|| bad("not BTF"))?;
    let found = reader.structure(name).ok_or_else(|| bad(&format!("no struct {name}")))?;
    let mut offsets = [0; N];
    for (offset, member) in offsets.iter_mut().zip(members) {
        *offset = reader
            .member(found, member)
            .ok_or_else(|| bad(&format!("struct {name} has no member {member}")))?;
    }
    Ok(offsets)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{VMLINUX}: {what}"))
}

struct Reader<'a> {
    types: &'a [u8],
    strings: &'a [u8],
}

#[derive(Clone, Copy)]
struct Structure {
    /// Where its members start.
    at: usize,
    count: usize,
    /// Offsets hold the size of a bit field in their upper byte.
    has_bit_fields: bool,
}

impl<'a> Reader<'a> {
    fn new(btf: &'a [u8]) -> Option<Self> {
        if u16::from_ne_bytes(btf.get(..2)?.try_into().ok()?) != MAGIC {
            return None;
        }
        let header = word(btf, 4)? as usize;
        let section = |offset, length| {
            let start = header + word(btf, offset)? as usize;
            btf.get(start..start + word(btf, length)? as usize)
        };
        Some(Self { types: section(8, 12)?, strings: section(16, 20)? })
    }

    fn structure(&self, name: &str) -> Option<Structure> {
        let mut at = 0;
        while at < self.types.len() {
            let info = word(self.types, at + 4)?;
            let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            if kind == STRUCT && self.is_named(word(self.types, at)?, name) {
                return Some(Structure { at: at + TYPE, count, has_bit_fields: info >> 31 != 0 });
            }
            at += TYPE
                + match kind {
                    INT | VAR | DECL_TAG => 4,
                    ARRAY => 12,
                    STRUCT | UNION | DATASEC | ENUM64 => count * 12,
                    ENUM | FUNC_PROTO => count * 8,
                    _ => 0,
                };
        }
        None
    }

    fn member(&self, structure: Structure, name: &str) -> Option<u32> {
        (0..structure.count).find_map(|i| {
            let at = structure.at + i * MEMBER;
            if !self.is_named(word(self.types, at)?, name) {
                return None;
            }
            let bits = word(self.types, at + 8)?;
            Some(if structure.has_bit_fields { bits & 0x00ff_ffff } else { bits } / 8)
        })
    }

    fn is_named(&self, offset: u32, name: &str) -> bool {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct pair { int a; int b; }` after an int, by hand.
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0pair\0a\0b\0";
        let types: [u32; 4 + 3 + 6] = [
            1,
            INT << 24,
            4,
            32, // int
            5,
            STRUCT << 24 | 2,
            8, // pair
            10,
            1,
            0, // a
            12,
            1,
            32, // b
        ];
        let mut btf = Vec::new();
        btf.extend(MAGIC.to_ne_bytes());
        btf.extend([1, 0]);
        for word in [24, 0, size_of_val(&types) as u32, size_of_val(&types) as u32, 14] {
            btf.extend(u32::to_ne_bytes(word));
        }
        btf.extend(types.iter().flat_map(|word| word.to_ne_bytes()));
        btf.extend(strings);
        btf
    }

    #[test]
    fn members_are_found_by_name() {
        assert_eq!(find(&sample(), "pair", ["b", "a"]).unwrap(), [4, 0]);
    }

    #[test]
    fn what_is_not_there_is_an_error_and_no_panic() {
        assert!(find(&sample(), "pai", ["a"]).is_err());
        assert!(find(&sample(), "pair", ["c"]).is_err());
        for len in 0..sample().len() - 1 {
            let _ = find(&sample()[..len], "pair", ["a", "b"]);
        }
    }
}
