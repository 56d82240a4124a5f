//! Users and groups, by name or number.

use std::fmt;

use nix::unistd::{Group, User};
use serde::{Deserialize, Deserializer};

/// A user or group as the file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// By number.
    Id(u32),
    /// By name.
    Name(String),
}

impl Account {
    /// The user that is meant; `None` when this host has none of that name.
    pub fn uid(&self) -> Option<u32> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Name(name) => User::from_name(name).ok().flatten().map(|u| u.uid.as_raw()),
        }
    }

    /// The group that is meant; `None` when this host has none of that name.
    pub fn gid(&self) -> Option<u32> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Name(name) => group_id(name),
        }
    }
}

/// The number of a group; `None` when this host has none of that name.
pub fn group_id(name: &str) -> Option<u32> {
    Group::from_name(name).ok().flatten().map(|g| g.gid.as_raw())
}

impl From<&str> for Account {
    /// A number in text is a number.
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a name or a number between 0 and 4294967295")]
        enum Wire {
            Id(u32),
            Name(String),
        }
        match Wire::deserialize(d)? {
            Wire::Id(id) => Ok(Self::Id(id)),
            // NUL would end the name in the C library's eyes.
            Wire::Name(name) if name.is_empty() || name.contains('\0') => {
                Err(serde::de::Error::custom("a name must not be empty or hold NUL"))
            }
            Wire::Name(name) => Ok(Self::from(name.as_str())),
        }
    }
}
