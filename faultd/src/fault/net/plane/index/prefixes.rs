//! Prefixes of remote addresses. The kernel's LPM trie finds the longest one
//! that covers an address; each leads on to the next shorter one that covers
//! it.

use std::{
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
};

use faultd_abi::{Head, PREFIXES, Prefix, PrefixEntry};

use super::{IndexError, Pool, Tables};

/// A prefix with its length in bits (IPv4: mapped into IPv6).
#[derive(Clone, Copy)]
pub struct Net {
    /// The prefix.
    pub prefix: Prefix,
    /// Its length; the mask says the same.
    pub len: u8,
}

impl Net {
    fn covers(&self, other: &Self) -> bool {
        self.len <= other.len && self.prefix.contains(&other.prefix.address)
    }
}

impl PartialEq for Net {
    fn eq(&self, other: &Self) -> bool {
        self.prefix == other.prefix
    }
}

impl Eq for Net {}

impl Hash for Net {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.prefix.hash(state);
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = std::net::Ipv6Addr::from(self.prefix.address.to_bytes());
        write!(f, "{address}/{}", self.len)
    }
}

/// The prefixes in use.
pub(super) struct Prefixes {
    known: HashMap<Net, Known>,
    entries: Pool,
}

#[derive(Clone, Copy)]
struct Known {
    index: u32,
    head: Head,
    parent: Option<Net>,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { known: HashMap::new(), entries: Pool::new(PREFIXES) }
    }
}

impl Prefixes {
    /// Adds a prefix whose list is empty.
    pub(super) fn insert<T: Tables>(
        &mut self,
        tables: &mut T,
        net: Net,
    ) -> Result<(), IndexError<T::Error>> {
        let index = self.entries.take().ok_or(IndexError::Full)?;
        let shorter = self.known.keys().filter(|other| other.covers(&net));
        let parent = shorter.max_by_key(|other| other.len).copied();
        self.known.insert(net, Known { index, head: Head::EMPTY, parent });
        // The entry first, the way to it second, the longer ones last: no
        // reader ever misses one that was there.
        let written = self.write(tables, net).and_then(|()| tables.set_prefix(net, Some(index)));
        if let Err(error) = written {
            self.known.remove(&net);
            self.entries.give(index);
            return Err(error.into());
        }
        for child in self.children(parent, net) {
            if let Some(known) = self.known.get_mut(&child) {
                known.parent = Some(net);
            }
            if let Err(error) = self.write(tables, child) {
                self.remove(tables, net);
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Removes a prefix whose list is empty.
    pub(super) fn remove<T: Tables>(&mut self, tables: &mut T, net: Net) {
        let Some(gone) = self.known.remove(&net) else { return };
        let orphans: Vec<Net> =
            self.known.iter().filter(|(_, k)| k.parent == Some(net)).map(|(n, _)| *n).collect();
        for child in orphans {
            if let Some(known) = self.known.get_mut(&child) {
                known.parent = gone.parent;
            }
            // Should it fail, the child leads on over an empty list.
            drop(self.write(tables, child));
        }
        drop(tables.set_prefix(net, None));
        self.entries.give(gone.index);
    }

    /// Sets the list of a prefix.
    pub(super) fn set_head<T: Tables>(
        &mut self,
        tables: &mut T,
        net: Net,
        head: Head,
    ) -> Result<(), T::Error> {
        if let Some(known) = self.known.get_mut(&net) {
            known.head = head;
        }
        self.write(tables, net)
    }

    fn write<T: Tables>(&self, tables: &mut T, net: Net) -> Result<(), T::Error> {
        let Some(known) = self.known.get(&net) else { return Ok(()) };
        let parent = known.parent.and_then(|net| self.known.get(&net)).map_or(0, |k| k.index);
        tables.set_entry(known.index, PrefixEntry { head: known.head, parent, pad: 0 })
    }

    /// Prefixes inside `net` that so far lead on to `parent`.
    fn children(&self, parent: Option<Net>, net: Net) -> Vec<Net> {
        let inside = |(other, known): (&Net, &Known)| {
            (*other != net && known.parent == parent && net.covers(other)).then_some(*other)
        };
        self.known.iter().filter_map(inside).collect()
    }
}
