//! The index against a model: what a reader of the maps finds is what is
//! linked.

use std::{collections::HashMap, net::IpAddr};

use faultd_abi::{
    Address, FILTER_ALL, FILTER_CGROUP, FILTER_INTERFACE, FILTER_LENGTHS, FILTER_USER, FilterBit,
    Head, NO_NODE, Node, PrefixEntry, filter_lengths,
};
use ipnet::IpNet;

use super::{super::address, Index, IndexError, Key, Net, Tables};

/// Maps in memory, of which one write can be made to fail.
#[derive(Default)]
struct Fake {
    nodes: HashMap<u32, Node>,
    heads: HashMap<Key, Head>,
    entries: HashMap<u32, PrefixEntry>,
    trie: HashMap<Net, u32>,
    filter: HashMap<u32, u64>,
    writes: usize,
    fail_at: Option<usize>,
}

const NONE: [u32; 0] = [];

#[derive(Debug, PartialEq, Eq)]
struct Refused;

impl Fake {
    fn write(&mut self) -> Result<(), Refused> {
        self.writes += 1;
        if self.fail_at == Some(self.writes) { Err(Refused) } else { Ok(()) }
    }

    /// The slots of a list, as the programs walk it.
    fn walk(&self, head: Head) -> Vec<u32> {
        let mut slots = Vec::new();
        let mut at = head.first();
        while at != NO_NODE {
            let node = self.nodes[&at];
            assert_eq!(node.tag, head.tag(), "a node of another list");
            slots.push(node.slot);
            at = node.next;
            assert!(slots.len() <= 10_000, "a list that does not end");
        }
        slots
    }

    fn slots(&self, key: Key) -> Vec<u32> {
        self.heads.get(&key).map_or_else(Vec::new, |head| self.walk(*head))
    }

    /// The slots that an address leads to, the longest prefix first.
    fn slots_for(&self, address: &str) -> Vec<u32> {
        let address = address::address(address.parse::<IpAddr>().unwrap());
        let longest = self.longest(address);
        let mut entry = longest.unwrap_or(0);
        let mut slots = Vec::new();
        while entry != 0 {
            let found = self.entries[&entry];
            slots.extend(self.walk(found.head));
            entry = found.parent;
        }
        slots
    }

    fn is_set(&self, bit: FilterBit) -> bool {
        self.filter.get(&bit.word()).is_some_and(|word| word & bit.mask() != 0)
    }

    /// Whether the filter, as the programs read it, lets an address through.
    fn lets_through(&self, index: &Index, address: &str) -> bool {
        let address = address::address(address.parse::<IpAddr>().unwrap());
        let lengths = index.filter_lengths() & filter_lengths(&address);
        index.filter_lengths() & FILTER_ALL != 0
            || (0..FILTER_LENGTHS.len())
                .any(|n| lengths >> n & 1 != 0 && self.is_set(FilterBit::of_address(n, &address)))
    }

    fn longest(&self, address: Address) -> Option<u32> {
        let covering = self.trie.iter().filter(|(net, _)| net.prefix.contains(&address));
        covering.max_by_key(|(net, _)| net.len).map(|(_, entry)| *entry)
    }
}

impl Tables for Fake {
    type Error = Refused;

    fn set_node(&mut self, index: u32, node: Node) -> Result<(), Refused> {
        self.write()?;
        self.nodes.insert(index, node);
        Ok(())
    }

    fn set_head(&mut self, key: Key, head: Head) -> Result<(), Refused> {
        self.write()?;
        self.heads.insert(key, head);
        Ok(())
    }

    fn set_entry(&mut self, index: u32, entry: PrefixEntry) -> Result<(), Refused> {
        self.write()?;
        self.entries.insert(index, entry);
        Ok(())
    }

    fn set_filter(&mut self, index: u32, word: u64) -> Result<(), Refused> {
        self.write()?;
        self.filter.insert(index, word);
        Ok(())
    }

    fn set_prefix(&mut self, net: Net, entry: Option<u32>) -> Result<(), Refused> {
        self.write()?;
        match entry {
            Some(entry) => self.trie.insert(net, entry),
            None => self.trie.remove(&net),
        };
        Ok(())
    }
}

fn remote(net: &str) -> Key {
    let (prefix, len) = address::prefix(net.parse::<IpNet>().unwrap());
    Key::Remote(Net { prefix, len })
}

#[test]
fn the_newest_rule_comes_first_and_any_can_go() {
    for gone in 1..=3 {
        let (mut index, mut maps) = (Index::default(), Fake::default());
        for slot in 1..=3 {
            index.link(&mut maps, Key::Port(80), slot, 7).unwrap();
        }
        assert_eq!(maps.slots(Key::Port(80)), [3, 2, 1]);
        index.unlink(&mut maps, Key::Port(80), gone).unwrap();
        let left: Vec<u32> = [3, 2, 1].into_iter().filter(|s| *s != u32::from(gone)).collect();
        assert_eq!(maps.slots(Key::Port(80)), left);
        assert_eq!(maps.slots(Key::Port(81)), NONE);
    }
}

#[test]
fn a_reader_on_a_removed_node_still_finds_the_rest() {
    let (mut index, mut maps) = (Index::default(), Fake::default());
    for slot in 1..=3 {
        index.link(&mut maps, Key::Wild, slot, 1).unwrap();
    }
    let middle = maps.nodes[&maps.heads[&Key::Wild].first()].next;
    index.unlink(&mut maps, Key::Wild, 2).unwrap();
    let next = maps.nodes[&middle].next;
    assert_eq!(maps.nodes[&next].slot, 1);
}

#[test]
fn dimensions_follow_their_lists() {
    let (mut index, mut maps) = (Index::default(), Fake::default());
    assert_eq!(index.dimensions(), 0);
    index.link(&mut maps, Key::Port(1), 1, 1).unwrap();
    index.link(&mut maps, Key::Port(2), 1, 1).unwrap();
    index.link(&mut maps, Key::Uid(0), 2, 1).unwrap();
    assert_eq!(index.dimensions(), faultd_abi::DIM_PORT | faultd_abi::DIM_UID);
    index.unlink(&mut maps, Key::Port(1), 1).unwrap();
    assert_eq!(index.dimensions(), faultd_abi::DIM_PORT | faultd_abi::DIM_UID);
    index.unlink(&mut maps, Key::Port(2), 1).unwrap();
    index.unlink(&mut maps, Key::Uid(0), 2).unwrap();
    assert_eq!(index.dimensions(), 0);
}

#[test]
fn nodes_are_reused_only_when_all_others_were() {
    let (mut index, mut maps) = (Index::default(), Fake::default());
    index.link(&mut maps, Key::Port(1), 1, 1).unwrap();
    let first = maps.heads[&Key::Port(1)].first();
    index.unlink(&mut maps, Key::Port(1), 1).unwrap();
    index.link(&mut maps, Key::Port(1), 1, 1).unwrap();
    assert_ne!(maps.heads[&Key::Port(1)].first(), first);
    let room = index.room();
    for _ in 0..room {
        index.link(&mut maps, Key::Port(2), 1, 1).unwrap();
        index.unlink(&mut maps, Key::Port(2), 1).unwrap();
    }
    assert_eq!(index.room(), room);
}

#[test]
fn a_full_index_says_so_and_stays_whole() {
    let (mut index, mut maps) = (Index::default(), Fake::default());
    for port in 0..index.room() as u16 {
        index.link(&mut maps, Key::Port(port), 1, 1).unwrap();
    }
    assert_eq!(index.link(&mut maps, Key::Wild, 2, 1), Err(IndexError::Full));
    assert_eq!(index.dimensions(), faultd_abi::DIM_PORT);
    index.unlink(&mut maps, Key::Port(9), 1).unwrap();
    index.link(&mut maps, Key::Wild, 2, 1).unwrap();
    assert_eq!(maps.slots(Key::Wild), [2]);
}

#[test]
fn an_address_meets_every_prefix_that_covers_it_whatever_the_order() {
    let nets = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "::/0", "11.0.0.0/8"];
    for rotation in 0..nets.len() {
        let (mut index, mut maps) = (Index::default(), Fake::default());
        let mut order: Vec<(u16, &str)> = (1..).zip(nets).collect();
        order.rotate_left(rotation);
        for (slot, net) in &order {
            index.link(&mut maps, remote(net), *slot, 1).unwrap();
        }
        assert_eq!(maps.slots_for("10.1.2.3"), [4, 3, 2, 1, 5]);
        assert_eq!(maps.slots_for("10.1.9.9"), [2, 1, 5]);
        assert_eq!(maps.slots_for("12.0.0.1"), [5]);
        // And without one in the middle.
        index.unlink(&mut maps, remote("10.1.0.0/16"), 2).unwrap();
        assert_eq!(maps.slots_for("10.1.2.3"), [4, 3, 1, 5]);
        assert_eq!(maps.slots_for("10.1.9.9"), [1, 5]);
        for (slot, net) in &order {
            index.unlink(&mut maps, remote(net), *slot).unwrap();
        }
        assert_eq!(maps.slots_for("10.1.2.3"), NONE);
        assert!(maps.trie.is_empty());
    }
}

#[test]
fn the_filter_lets_through_what_is_linked_and_little_else() {
    let (mut index, mut maps) = (Index::default(), Fake::default());
    let nets = ["10.0.0.0/8", "10.1.0.0/17", "192.0.2.1/32", "2001:db8::/47", "fd00::1/128"];
    for (slot, net) in (1..).zip(nets) {
        index.link(&mut maps, remote(net), slot, 1).unwrap();
    }
    for inside in ["10.9.9.9", "10.1.127.1", "192.0.2.1", "2001:db8:1::1", "fd00::1"] {
        assert!(maps.lets_through(&index, inside), "{inside}");
    }
    for outside in ["11.1.1.1", "192.0.2.2", "2002:db8::1", "fd00::2", "::a00:1"] {
        assert!(!maps.lets_through(&index, outside), "{outside}");
    }
    index.unlink(&mut maps, remote("10.0.0.0/8"), 1).unwrap();
    assert!(!maps.lets_through(&index, "10.9.9.9"));
    assert!(maps.lets_through(&index, "10.1.1.1"), "the shorter one has gone, not this");

    index.link(&mut maps, remote("0.0.0.0/1"), 6, 1).unwrap();
    assert!(maps.lets_through(&index, "11.1.1.1"), "too short for the filter");
    index.link(&mut maps, Key::Uid(7), 7, 1).unwrap();
    index.link(&mut maps, Key::Uid(7), 8, 1).unwrap();
    index.link(&mut maps, Key::Cgroup(7), 9, 1).unwrap();
    index.link(&mut maps, Key::Interface(7), 10, 1).unwrap();
    index.unlink(&mut maps, Key::Uid(7), 7).unwrap();
    assert!(maps.is_set(FilterBit::of(FILTER_USER, [7, 0])));
    assert!(maps.is_set(FilterBit::of(FILTER_CGROUP, [7, 0])));
    assert!(maps.is_set(FilterBit::of(FILTER_INTERFACE, [7, 0])));

    for (slot, net) in (2..).zip(&nets[1..]) {
        index.unlink(&mut maps, remote(net), slot).unwrap();
    }
    index.unlink(&mut maps, remote("0.0.0.0/1"), 6).unwrap();
    index.unlink(&mut maps, Key::Uid(7), 8).unwrap();
    index.unlink(&mut maps, Key::Cgroup(7), 9).unwrap();
    index.unlink(&mut maps, Key::Interface(7), 10).unwrap();
    assert_eq!(index.filter_lengths(), 0);
    assert!(maps.filter.values().all(|word| *word == 0), "bits are left over");
}

#[test]
fn a_refused_write_leaves_what_was_there() {
    // Whichever write of the second link fails, the first rule stays found.
    for fail_at in 1..=6 {
        let (mut index, mut maps) = (Index::default(), Fake::default());
        index.link(&mut maps, remote("10.1.0.0/16"), 1, 1).unwrap();
        maps.fail_at = Some(maps.writes + fail_at);
        let linked = index.link(&mut maps, remote("10.0.0.0/8"), 2, 1);
        maps.fail_at = None;
        if linked.is_err() {
            assert_eq!(maps.slots_for("10.1.1.1"), [1], "write {fail_at}");
            assert!(maps.lets_through(&index, "10.1.1.1"), "write {fail_at}");
        }
        index.unlink(&mut maps, remote("10.0.0.0/8"), 2).unwrap();
        index.unlink(&mut maps, remote("10.1.0.0/16"), 1).unwrap();
        assert_eq!(index.dimensions(), 0);
        assert_eq!(index.room() as u32, faultd_abi::NODES - 1);
    }
}
