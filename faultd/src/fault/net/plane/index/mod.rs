//! Book-keeping of the index: which rules hang in which list.
//!
//! Pure but for a [`Tables`] that takes the writes, so that a test can hold
//! them against a model. A list changes as an RCU list does (see
//! [`faultd_abi::Node`]): a rule is added in front; a removed node keeps its
//! `next`, and nodes are reused first in, first out, long after.

mod filter;
mod prefixes;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use faultd_abi as abi;
use faultd_abi::{Head, NO_NODE, Node, PrefixEntry};

use filter::Filter;
pub use prefixes::Net;
use prefixes::Prefixes;

/// What a list of rules belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// A port.
    Port(u16),
    /// A cgroup id.
    Cgroup(u64),
    /// A user.
    Uid(u32),
    /// An interface.
    Interface(u32),
    /// Processes that the same rules name.
    Class(u32),
    /// A prefix of remote addresses.
    Remote(Net),
    /// Nothing: tried on every packet.
    Wild,
}

impl Key {
    /// The dimension that the key is in.
    const fn dimension(self) -> u32 {
        match self {
            Self::Port(_) => abi::DIM_PORT,
            Self::Cgroup(_) => abi::DIM_CGROUP,
            Self::Uid(_) => abi::DIM_UID,
            Self::Interface(_) => abi::DIM_INTERFACE,
            Self::Class(_) => abi::DIM_PIDS,
            Self::Remote(_) => abi::DIM_REMOTE,
            Self::Wild => abi::DIM_WILD,
        }
    }
}

/// The maps, as far as the index writes them.
pub trait Tables {
    /// Why a write failed.
    type Error;

    /// Writes a list node.
    ///
    /// # Errors
    /// When the map refuses.
    fn set_node(&mut self, index: u32, node: Node) -> Result<(), Self::Error>;

    /// Writes the head of the list of `key`, which is no [`Key::Remote`]; an
    /// empty one may be deleted.
    ///
    /// # Errors
    /// When the map refuses.
    fn set_head(&mut self, key: Key, head: Head) -> Result<(), Self::Error>;

    /// Writes an entry of the prefix index.
    ///
    /// # Errors
    /// When the map refuses.
    fn set_entry(&mut self, index: u32, entry: PrefixEntry) -> Result<(), Self::Error>;

    /// Writes a word of the filter.
    ///
    /// # Errors
    /// When the map refuses.
    fn set_filter(&mut self, index: u32, word: u64) -> Result<(), Self::Error>;

    /// Lets a prefix lead to an entry, or to none.
    ///
    /// # Errors
    /// When the map refuses.
    fn set_prefix(&mut self, net: Net, entry: Option<u32>) -> Result<(), Self::Error>;
}

/// Why a rule could not be linked.
#[derive(Debug, PartialEq, Eq)]
pub enum IndexError<E> {
    /// No nodes or prefix entries are left.
    Full,
    /// A map refused.
    Table(E),
}

impl<E> From<E> for IndexError<E> {
    fn from(error: E) -> Self {
        Self::Table(error)
    }
}

/// The rules of one key, the first candidate first.
struct List {
    tag: u32,
    members: VecDeque<Member>,
}

#[derive(Clone, Copy)]
struct Member {
    node: u32,
    slot: u16,
    generation: u32,
}

/// The index.
pub struct Index {
    lists: HashMap<Key, List>,
    prefixes: Prefixes,
    filter: Filter,
    nodes: Pool,
    next_tag: u32,
    /// Lists in each dimension.
    in_use: HashMap<u32, usize>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            lists: HashMap::new(),
            prefixes: Prefixes::default(),
            filter: Filter::default(),
            nodes: Pool::new(abi::NODES),
            next_tag: 0,
            in_use: HashMap::new(),
        }
    }
}

impl Index {
    /// `DIM_*` bits of the dimensions that hold a rule.
    pub fn dimensions(&self) -> u32 {
        self.in_use.keys().fold(0, |bits, dimension| bits | dimension)
    }

    /// See [`faultd_abi::Config::filter_lengths`].
    pub fn filter_lengths(&self) -> u32 {
        self.filter.lengths()
    }

    /// How many more list nodes there are.
    pub fn room(&self) -> usize {
        self.nodes.room()
    }

    /// Links a rule under a key.
    ///
    /// # Errors
    /// When there is no room or a map refuses; the rule is not linked then.
    pub fn link<T: Tables>(
        &mut self,
        tables: &mut T,
        key: Key,
        slot: u16,
        generation: u32,
    ) -> Result<(), IndexError<T::Error>> {
        let node = self.nodes.take().ok_or(IndexError::Full)?;
        let fresh = !self.lists.contains_key(&key);
        let result = self.link_node(tables, key, Member { node, slot, generation });
        if result.is_err() {
            self.nodes.give(node);
            if fresh {
                self.forget(tables, key);
            }
        }
        result
    }

    fn link_node<T: Tables>(
        &mut self,
        tables: &mut T,
        key: Key,
        member: Member,
    ) -> Result<(), IndexError<T::Error>> {
        if !self.lists.contains_key(&key) {
            self.filter.add(tables, key)?;
            if let Key::Remote(net) = key
                && let Err(error) = self.prefixes.insert(tables, net)
            {
                self.filter.remove(tables, key);
                return Err(error);
            }
            self.next_tag = self.next_tag.wrapping_add(1).max(1);
            self.lists.insert(key, List { tag: self.next_tag, members: VecDeque::new() });
            *self.in_use.entry(key.dimension()).or_default() += 1;
        }
        let Some(list) = self.lists.get_mut(&key) else { return Err(IndexError::Full) };
        let next = list.members.front().map_or(NO_NODE, |first| first.node);
        let (slot, generation, tag) = (u32::from(member.slot), member.generation, list.tag);
        tables.set_node(member.node, Node { next, slot, tag, generation })?;
        set_head(tables, &mut self.prefixes, key, Head::new(member.node, tag))?;
        list.members.push_front(member);
        Ok(())
    }

    /// Takes a rule out from under a key; one that is not there is fine.
    /// Goes on after an error, so that book and maps differ as little as can
    /// be.
    ///
    /// # Errors
    /// What the maps refused.
    pub fn unlink<T: Tables>(
        &mut self,
        tables: &mut T,
        key: Key,
        slot: u16,
    ) -> Result<(), T::Error> {
        let Some(list) = self.lists.get_mut(&key) else { return Ok(()) };
        let Some(at) = list.members.iter().position(|m| m.slot == slot) else { return Ok(()) };
        let next = list.members.get(at + 1).map_or(NO_NODE, |m| m.node);
        let tag = list.tag;
        let result = match at.checked_sub(1).and_then(|before| list.members.get(before)) {
            Some(m) => {
                let node = Node { next, slot: u32::from(m.slot), tag, generation: m.generation };
                tables.set_node(m.node, node)
            }
            None => set_head(tables, &mut self.prefixes, key, Head::new(next, tag)),
        };
        if let Some(member) = list.members.remove(at) {
            self.nodes.give(member.node);
        }
        if list.members.is_empty() {
            self.forget(tables, key);
        }
        result
    }

    /// Drops a list that holds nothing.
    fn forget<T: Tables>(&mut self, tables: &mut T, key: Key) {
        if self.lists.remove(&key).is_none() {
            return;
        }
        if let Some(count) = self.in_use.get_mut(&key.dimension()) {
            *count -= 1;
            if *count == 0 {
                self.in_use.remove(&key.dimension());
            }
        }
        // What stays behind after an error leads to an empty list.
        match key {
            Key::Remote(net) => self.prefixes.remove(tables, net),
            _ => drop(tables.set_head(key, Head::EMPTY)),
        }
        self.filter.remove(tables, key);
    }
}

fn set_head<T: Tables>(
    tables: &mut T,
    prefixes: &mut Prefixes,
    key: Key,
    head: Head,
) -> Result<(), T::Error> {
    match key {
        Key::Remote(net) => prefixes.set_head(tables, net, head),
        _ => tables.set_head(key, head),
    }
}

/// Numbers from 1 on, reused as late as can be.
struct Pool {
    size: u32,
    used: u32,
    free: VecDeque<u32>,
}

impl Pool {
    const fn new(size: u32) -> Self {
        Self { size, used: 1, free: VecDeque::new() }
    }

    fn take(&mut self) -> Option<u32> {
        if self.used < self.size {
            self.used += 1;
            return Some(self.used - 1);
        }
        self.free.pop_front()
    }

    fn give(&mut self, number: u32) {
        self.free.push_back(number);
    }

    fn room(&self) -> usize {
        (self.size - self.used) as usize + self.free.len()
    }
}
