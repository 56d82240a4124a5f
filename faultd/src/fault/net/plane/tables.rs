//! The index's writes, into the real maps.

use aya::maps::{MapError, lpm_trie};
use faultd_abi::{Config, Head, Node, PrefixEntry};

use super::{
    index::{Key, Net, Tables},
    object::{Hash, Maps},
};

/// The maps of one object, with the configuration that is to be written next.
pub struct MapTables<'a> {
    /// The maps.
    pub maps: &'a mut Maps,
    /// Holds the list of rules that are tried on every packet.
    pub config: &'a mut Config,
}

impl Tables for MapTables<'_> {
    type Error = MapError;

    fn set_node(&mut self, index: u32, node: Node) -> Result<(), MapError> {
        self.maps.nodes.set(index, node, 0)
    }

    fn set_head(&mut self, key: Key, head: Head) -> Result<(), MapError> {
        let maps = &mut *self.maps;
        match key {
            Key::Port(port) => maps.port_heads.set(u32::from(port), head, 0),
            Key::Cgroup(id) => set_or_remove(&mut maps.cgroup_heads, id, head),
            Key::Uid(uid) => set_or_remove(&mut maps.uid_heads, uid, head),
            Key::Interface(ifindex) => set_or_remove(&mut maps.interface_heads, ifindex, head),
            Key::Class(class) => set_or_remove(&mut maps.class_heads, class, head),
            Key::Wild => {
                self.config.wild = head;
                maps.config.set(0, *self.config, 0)
            }
            // The prefix index keeps those.
            Key::Remote(_) => Ok(()),
        }
    }

    fn set_entry(&mut self, index: u32, entry: PrefixEntry) -> Result<(), MapError> {
        self.maps.prefix_entries.set(index, entry, 0)
    }

    fn set_filter(&mut self, index: u32, word: u64) -> Result<(), MapError> {
        self.maps.filter.set(index, word, 0)
    }

    fn set_prefix(&mut self, net: Net, entry: Option<u32>) -> Result<(), MapError> {
        let key = lpm_trie::Key::new(u32::from(net.len), net.prefix.address);
        match entry {
            Some(entry) => self.maps.prefix_trie.insert(&key, entry, 0),
            None => self.maps.prefix_trie.remove(&key),
        }
    }
}

fn set_or_remove<K: aya::Pod>(map: &mut Hash<K, Head>, key: K, head: Head) -> Result<(), MapError> {
    if head == Head::EMPTY {
        return forgive_absent(map.remove(&key));
    }
    map.insert(key, head, 0)
}

/// Removing what is not there is fine.
pub fn forgive_absent(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::ENOENT) =>
        {
            Ok(())
        }
        other => other,
    }
}
