//! Where the members of a kernel structure are, and what its functions are
//! called, from the kernel's own type information (Documentation/bpf/btf.rst).
//!
//! Just enough of a reader: it looks for one thing at a time, where a full parse
//! of the kernel's types takes 10 MiB.

use std::{collections::BTreeMap, ffi::CStr, fs, io};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;

// Kinds, include/uapi/linux/btf.h.
const INT: u32 = 1;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FUNC: u32 = 12;
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
    Btf::read()?.offsets(name, members)
}

/// The type information of the running kernel, some 8 MiB.
pub struct Btf {
    bytes: Vec<u8>,
    /// Where each type starts; the first has the id 1.
    starts: Vec<u32>,
    /// Ids of the structures.
    structures: Vec<u32>,
    /// Ids of the functions.
    functions: Vec<u32>,
}

impl Btf {
    /// Reads it.
    ///
    /// # Errors
    /// When the kernel has none.
    pub fn read() -> io::Result<Self> {
        Self::parse(fs::read(VMLINUX)?)
    }

    fn parse(bytes: Vec<u8>) -> io::Result<Self> {
        let reader = Reader::new(&bytes).ok_or_else(|| bad("not BTF"))?;
        let (mut starts, mut structures, mut functions) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(found) = reader.type_at(at) {
            starts.push(at as u32);
            let id = starts.len() as u32;
            match found.kind {
                STRUCT => structures.push(id),
                FUNC => functions.push(id),
                _ => {}
            }
            at = found.end;
        }
        Ok(Self { bytes, starts, structures, functions })
    }

    /// Byte offsets of members of a structure, those of its nameless parts
    /// included.
    ///
    /// # Errors
    /// When there is no such structure or member.
    pub fn offsets<const N: usize>(&self, name: &str, members: [&str; N]) -> io::Result<[u32; N]> {
        let reader = self.reader()?;
        let mut structures = self.structures.iter().filter_map(|id| self.get(&reader, *id));
        let found = structures.find(|t| reader.is_named(t.name, name));
        let found = found.ok_or_else(|| bad(&format!("no struct {name}")))?;
        let mut offsets = [0; N];
        for (offset, member) in offsets.iter_mut().zip(members) {
            *offset = self
                .member(&reader, found, member, 0)
                .ok_or_else(|| bad(&format!("struct {name} has no member {member}")))?;
        }
        Ok(offsets)
    }

    /// The functions whose names begin with one of `prefixes`, with their type
    /// ids, which programs attach by.
    ///
    /// # Errors
    /// When this is no type information.
    pub fn functions(&self, prefixes: &[&str]) -> io::Result<BTreeMap<String, u32>> {
        let reader = self.reader()?;
        let named = |id: &u32| {
            let name = reader.text(self.get(&reader, *id)?.name);
            prefixes.iter().any(|p| name.starts_with(p.as_bytes())).then_some((name, *id))
        };
        let text = |(name, id): (&[u8], u32)| {
            let name = CStr::from_bytes_until_nul(name).ok()?.to_str().ok()?;
            Some((name.to_owned(), id))
        };
        Ok(self.functions.iter().filter_map(named).filter_map(text).collect())
    }

    fn reader(&self) -> io::Result<Reader<'_>> {
        Reader::new(&self.bytes).ok_or_else(|| bad("not BTF"))
    }

    fn get(&self, reader: &Reader<'_>, id: u32) -> Option<Type> {
        reader.type_at(*self.starts.get(id.checked_sub(1)? as usize)? as usize)
    }

    fn member(&self, reader: &Reader<'_>, structure: Type, name: &str, depth: u32) -> Option<u32> {
        let members: Vec<Member> =
            (0..structure.count).filter_map(|i| reader.member(structure, i)).collect();
        if let Some(found) = members.iter().find(|m| reader.is_named(m.name, name)) {
            return Some(found.offset);
        }
        if depth == NESTED {
            return None;
        }
        members.iter().filter(|m| m.name == 0).find_map(|m| {
            let inner = self.get(reader, m.kind)?;
            let is_open = matches!(inner.kind, STRUCT | UNION);
            let found = is_open.then(|| self.member(reader, inner, name, depth + 1)).flatten()?;
            Some(m.offset + found)
        })
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{VMLINUX}: {what}"))
}

struct Reader<'a> {
    types: &'a [u8],
    strings: &'a [u8],
}

/// How deep nameless structures lie within each other at most.
const NESTED: u32 = 4;

#[derive(Clone, Copy)]
struct Type {
    /// Offset of its name.
    name: u32,
    kind: u32,
    /// Where its members start.
    at: usize,
    /// Where the next type starts.
    end: usize,
    count: usize,
    /// Offsets hold the size of a bit field in their upper byte.
    has_bit_fields: bool,
}

#[derive(Clone, Copy)]
struct Member {
    /// Offset of its name; 0 if it has none.
    name: u32,
    /// Id of its type.
    kind: u32,
    /// In bytes.
    offset: u32,
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

    fn type_at(&self, start: usize) -> Option<Type> {
        let (name, info) = (word(self.types, start)?, word(self.types, start + 4)?);
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        let at = start + TYPE;
        let end = at
            + match kind {
                INT | VAR | DECL_TAG => 4,
                ARRAY => 12,
                STRUCT | UNION | DATASEC | ENUM64 => count * 12,
                ENUM | FUNC_PROTO => count * 8,
                _ => 0,
            };
        Some(Type { name, kind, at, end, count, has_bit_fields: info >> 31 != 0 })
    }

    fn member(&self, structure: Type, i: usize) -> Option<Member> {
        let at = structure.at + i * MEMBER;
        let (name, kind) = (word(self.types, at)?, word(self.types, at + 4)?);
        let bits = word(self.types, at + 8)?;
        let bits = if structure.has_bit_fields { bits & 0x00ff_ffff } else { bits };
        Some(Member { name, kind, offset: bits / 8 })
    }

    /// From a string on.
    fn text(&self, offset: u32) -> &'a [u8] {
        self.strings.get(offset as usize..).unwrap_or_default()
    }

    fn is_named(&self, offset: u32, name: &str) -> bool {
        let rest = self.text(offset).strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| rest.first() == Some(&0))
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

    fn find<const N: usize>(btf: &[u8], name: &str, members: [&str; N]) -> io::Result<[u32; N]> {
        Btf::parse(btf.to_vec())?.offsets(name, members)
    }

    #[test]
    fn members_are_found_by_name() {
        assert_eq!(find(&sample(), "pair", ["b", "a"]).unwrap(), [4, 0]);
    }

    #[test]
    fn what_is_not_there_is_an_error_and_no_panic() {
        assert!(find(&sample(), "pai", ["a"]).is_err());
        assert!(find(&sample(), "pair", ["c"]).is_err());
        assert!(Btf::parse(sample()).unwrap().functions(&[""]).unwrap().is_empty());
        for len in 0..sample().len() - 1 {
            let _ = find(&sample()[..len], "pair", ["a", "b"]);
        }
    }

    #[test]
    fn the_kernel_describes_nameless_parts_and_functions() {
        let Ok(btf) = Btf::read() else { return eprintln!("SKIPPED: this kernel has no BTF") };
        // `struct page` begins with a word of flags, then a union of structures.
        assert_eq!(btf.offsets("page", ["lru"]).unwrap(), [8]);
        let found = btf.functions(&["security_file_open"]).unwrap();
        assert!(found["security_file_open"] > 0, "{found:?}");
    }
}
