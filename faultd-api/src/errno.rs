//! Error numbers by name: `ENOSPC`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use syscalls::Errno as Known;

use crate::Invalid;

/// An error that a system call can return, by the name that errno(3) gives it.
/// Names and numbers are the same on every architecture that faultd runs on
/// (include/uapi/asm-generic/errno.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(&'static str, u16);

/// EHWPOISON; what comes after it never leaves the kernel.
const LAST: i32 = 133;

/// Second names of the same numbers.
const ALIASES: [(&str, &str); 3] =
    [("EWOULDBLOCK", "EAGAIN"), ("EDEADLOCK", "EDEADLK"), ("ENOTSUP", "EOPNOTSUPP")];

impl Errno {
    /// Its name.
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// Its number, positive: 28 for ENOSPC.
    pub const fn number(self) -> u16 {
        self.1
    }

    fn all() -> impl Iterator<Item = Self> {
        (1..=LAST).filter_map(|number| {
            let name = Known::new(number).name()?;
            Some(Self(name, u16::try_from(number).ok()?))
        })
    }
}

impl FromStr for Errno {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wanted = text.trim().to_ascii_uppercase();
        let alias = ALIASES.iter().find(|(alias, _)| *alias == wanted);
        let name = alias.map_or(wanted.as_str(), |(_, name)| name);
        Self::all().find(|errno| errno.0 == name).ok_or_else(|| {
            let what = "takes the name of an error such as ENOSPC, EIO or ECONNREFUSED (errno(3))";
            Invalid::new("errno", format!("{what}, got {text:?}"))
        })
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl Serialize for Errno {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Errno {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(|e: Invalid| serde::de::Error::custom(e.message))
    }
}

impl JsonSchema for Errno {
    fn schema_name() -> Cow<'static, str> {
        "Errno".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An error by its name in errno(3).",
            "examples": ["ENOSPC", "EIO", "ECONNREFUSED"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_numbers_of_the_system() {
        assert!(Errno::all().count() >= 130);
        for errno in Errno::all() {
            let system = nix::errno::Errno::from_raw(i32::from(errno.number()));
            assert_eq!(format!("{system:?}"), errno.name());
            assert_eq!(errno.name().parse::<Errno>(), Ok(errno));
        }
    }

    #[test]
    fn reads_second_names_and_refuses_what_never_leaves_the_kernel() {
        let number = |name: &str| name.parse::<Errno>().map(Errno::number).ok();
        assert_eq!(number("EWOULDBLOCK"), Some(11));
        assert_eq!(number("enospc"), Some(28));
        assert_eq!(number("ENOTSUP"), Some(95));
        assert_eq!(number("ERESTARTSYS"), None);
        assert_eq!(number("28"), None);
    }
}
