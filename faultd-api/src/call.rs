//! System calls by name: `openat`, `connect`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use syscalls::{aarch64, x86_64};

use crate::Invalid;

/// A system call that some architecture has, by the name that syscalls(2) and
/// strace(1) give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call(&'static str);

/// Calls that never return to their caller, so cannot fail for it.
const NEVER_RETURN: [&str; 3] = ["exit", "exit_group", "rt_sigreturn"];

/// The same call under the names of two architectures.
const SAME: [(&str, &str); 1] = [("fstatat", "newfstatat")];

impl Call {
    /// Its name.
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// Its number on the architecture that this was built for; `None` if it is
    /// another architecture's call (`open` on aarch64).
    pub fn number(self) -> Option<u32> {
        let number = |name: &str| {
            name.parse::<syscalls::Sysno>().ok().and_then(|call| u32::try_from(call.id()).ok())
        };
        number(self.0).or_else(|| {
            let (a, b) = SAME.iter().find(|(a, b)| [a, b].contains(&&self.0))?;
            number(a).or_else(|| number(b))
        })
    }

    /// Every name known, of any architecture, sorted.
    pub fn names() -> Vec<&'static str> {
        let x86 = x86_64::Sysno::iter().map(|call| call.name());
        let mut names: Vec<_> = x86.chain(aarch64::Sysno::iter().map(|call| call.name())).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl FromStr for Call {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name = text.trim();
        if NEVER_RETURN.contains(&name) {
            return Err(Invalid::new("call", format!("{name} never returns, so cannot fail")));
        }
        let x86 = name.parse::<x86_64::Sysno>().map(|call| call.name());
        let known = x86.or_else(|()| name.parse::<aarch64::Sysno>().map(|call| call.name()));
        known.map(Self).map_err(|()| Invalid::new("call", unknown(name)))
    }
}

fn unknown(name: &str) -> String {
    let what = format!("takes names of system calls such as openat, got {name:?}");
    let like: Vec<_> = Call::names().into_iter().filter(|known| alike(known, name)).collect();
    match like.as_slice() {
        [] => what,
        [..] => format!("{what}; did you mean {}?", like.join(", ")),
    }
}

/// Whether one is the other with something before or after it (`accept4`,
/// `fstatat` and `newfstatat`).
fn alike(known: &str, name: &str) -> bool {
    name.len() >= 4 && (known.contains(name) || name.contains(known) && known.len() >= 4)
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl Serialize for Call {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Call {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(|e: Invalid| serde::de::Error::custom(e.message))
    }
}

impl JsonSchema for Call {
    fn schema_name() -> Cow<'static, str> {
        "SystemCall".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A system call by its name.",
            "examples": ["openat", "connect", "fsync"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_numbers_of_this_architecture() {
        let number = |name: &str| name.parse::<Call>().unwrap().number();
        assert!(number("openat").is_some() && number("fsync").is_some());
        assert_eq!(number("fstatat"), number("newfstatat"));
        if cfg!(target_arch = "x86_64") {
            assert_eq!(
                (number("read"), number("open"), number("openat2")),
                (Some(0), Some(2), Some(437))
            );
            assert_eq!(number("memfd_secret"), Some(447));
        } else {
            assert_eq!(number("open"), None);
        }
    }

    #[test]
    fn refuses_what_is_no_call_and_what_cannot_fail() {
        let refused = |name: &str| name.parse::<Call>().unwrap_err().to_string();
        assert!(refused("memfd").contains("did you mean memfd_create"), "{}", refused("memfd"));
        assert!(refused("sendmsgs").contains("sendmsg"), "{}", refused("sendmsgs"));
        assert!(!refused("xyzzy").contains("did you mean"), "{}", refused("xyzzy"));
        assert!(refused("exit_group").contains("cannot fail"), "{}", refused("exit_group"));
    }
}
