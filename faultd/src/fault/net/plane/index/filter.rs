//! The bitmap in front of the index; see [`faultd_abi::FilterBit`].

use std::collections::HashMap;

use faultd_abi::{
    FILTER_ALL, FILTER_CGROUP, FILTER_INTERFACE, FILTER_LENGTHS, FILTER_USER, FilterBit,
    filter_length,
};

use super::{Key, Tables};

/// What is set, and for how many keys.
#[derive(Default)]
pub(super) struct Filter {
    bits: HashMap<FilterBit, usize>,
    words: HashMap<u32, u64>,
    lengths: [usize; FILTER_LENGTHS.len()],
    /// Prefixes that are shorter than all of them.
    shorter: usize,
}

/// Where a key is entered.
enum Entry {
    /// Its dimension has no filter.
    None,
    Bit(FilterBit),
    /// A prefix, at the n-th length.
    Prefix(usize, FilterBit),
    /// A prefix that is shorter.
    Shorter,
}

impl Entry {
    fn of(key: Key) -> Self {
        match key {
            Key::Port(_) | Key::Class(_) | Key::Wild => Self::None,
            Key::Uid(uid) => Self::Bit(FilterBit::of(FILTER_USER, [uid.into(), 0])),
            Key::Cgroup(id) => Self::Bit(FilterBit::of(FILTER_CGROUP, [id, 0])),
            Key::Interface(ifindex) => {
                Self::Bit(FilterBit::of(FILTER_INTERFACE, [ifindex.into(), 0]))
            }
            Key::Remote(net) => match filter_length(&net.prefix, net.len) {
                Some(n) => Self::Prefix(n, FilterBit::of_address(n, &net.prefix.address)),
                None => Self::Shorter,
            },
        }
    }
}

impl Filter {
    /// Lets a key that is about to come through.
    pub(super) fn add<T: Tables>(&mut self, tables: &mut T, key: Key) -> Result<(), T::Error> {
        match Entry::of(key) {
            Entry::None => {}
            Entry::Bit(bit) => self.set(tables, bit)?,
            Entry::Prefix(n, bit) => {
                self.set(tables, bit)?;
                self.lengths[n] += 1;
            }
            Entry::Shorter => self.shorter += 1,
        }
        Ok(())
    }

    /// Takes back one [`Filter::add`] of a key that is gone. A bit that cannot
    /// be cleared costs a look-up that finds nothing.
    pub(super) fn remove<T: Tables>(&mut self, tables: &mut T, key: Key) {
        match Entry::of(key) {
            Entry::None => {}
            Entry::Bit(bit) => self.clear(tables, bit),
            Entry::Prefix(n, bit) => {
                self.clear(tables, bit);
                self.lengths[n] = self.lengths[n].saturating_sub(1);
            }
            Entry::Shorter => self.shorter = self.shorter.saturating_sub(1),
        }
    }

    /// See [`faultd_abi::Config::filter_lengths`].
    pub(super) fn lengths(&self) -> u32 {
        let all = if self.shorter > 0 { FILTER_ALL } else { 0 };
        let used = self.lengths.iter().enumerate().filter(|(_, keys)| **keys > 0);
        used.fold(all, |bits, (n, _)| bits | 1 << n)
    }

    fn set<T: Tables>(&mut self, tables: &mut T, bit: FilterBit) -> Result<(), T::Error> {
        let word = self.words.entry(bit.word()).or_default();
        // Written even if it should be set: an earlier write may have failed.
        tables.set_filter(bit.word(), *word | bit.mask())?;
        *word |= bit.mask();
        *self.bits.entry(bit).or_default() += 1;
        Ok(())
    }

    fn clear<T: Tables>(&mut self, tables: &mut T, bit: FilterBit) {
        let Some(keys) = self.bits.get_mut(&bit) else { return };
        *keys -= 1;
        if *keys > 0 {
            return;
        }
        self.bits.remove(&bit);
        let word = self.words.entry(bit.word()).or_default();
        *word &= !bit.mask();
        drop(tables.set_filter(bit.word(), *word));
    }
}
