//! Which slots of the rule table are in use, and what each rule holds on to.

use std::collections::{BTreeMap, VecDeque};

use faultd_abi::SLOTS;

use super::index::Key;

/// What there is to take back for a rule.
#[derive(Debug, Default)]
pub struct Entry {
    /// Which use of the slot this is.
    pub generation: u32,
    /// Keys that it is linked under.
    pub keys: Vec<Key>,
    /// `HOOK_*` bits.
    pub hooks: u8,
    /// It is for every interface, those to come included.
    pub open: bool,
    /// CLOCK_BOOTTIME in nanoseconds at which it ends.
    pub expires_boot_ns: u64,
    /// Its packets go through the delay line.
    pub uses_line: bool,
    /// Level of the cgroup that it names.
    pub cgroup_level: Option<u32>,
    /// It looks at the socket's user.
    pub checks_uid: bool,
    /// It names processes.
    pub has_pids: bool,
}

/// The slots.
pub struct Slots {
    entries: BTreeMap<u16, Entry>,
    free: VecDeque<u16>,
    generation: u32,
}

impl Default for Slots {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), free: (1..SLOTS as u16).collect(), generation: 0 }
    }
}

impl Slots {
    /// Takes the slot that has been free for longest.
    pub fn take(&mut self) -> Option<(u16, u32)> {
        let slot = self.free.pop_front()?;
        self.generation = self.generation.wrapping_add(1).max(1);
        let entry = Entry { generation: self.generation, ..Entry::default() };
        self.entries.insert(slot, entry);
        Some((slot, self.generation))
    }

    /// Frees a slot and hands out what it held on to.
    pub fn give(&mut self, slot: u16) -> Option<Entry> {
        let entry = self.entries.remove(&slot)?;
        self.free.push_back(slot);
        Some(entry)
    }

    /// The entry of a slot.
    pub fn get_mut(&mut self, slot: u16) -> Option<&mut Entry> {
        self.entries.get_mut(&slot)
    }

    /// The entry of a slot.
    pub fn get(&self, slot: u16) -> Option<&Entry> {
        self.entries.get(&slot)
    }

    /// The slots in use.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Entry)> {
        self.entries.iter().map(|(slot, entry)| (*slot, entry))
    }

    /// How many are in use.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_slot_comes_last_and_with_another_generation() {
        let mut slots = Slots::default();
        let (first, generation) = slots.take().unwrap();
        assert_eq!(first, 1, "slot 0 means no rule");
        slots.give(first).unwrap();
        let mut seen = Vec::new();
        while let Some((slot, _)) = slots.take() {
            seen.push(slot);
        }
        assert_eq!(seen.len(), SLOTS as usize - 1);
        assert_eq!(seen.last(), Some(&first));
        assert_ne!(slots.get(first).unwrap().generation, generation);
    }
}
