//! The rules in force, and the programs that they need.
//!
//! The object is loaded with the first rule and goes with the last: with no
//! fault nothing is attached and no map exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, bail};
use aya::{
    Pod,
    maps::{HashMap, MapData, MapError},
};
use faultd_abi::syscall::{
    ALWAYS, CallKey, Config, EXEMPT, FILTERED, NO_LIMIT, Root, Rule, SLOTS, State,
};
use faultd_api::SyscallParams;

use super::{
    calls::Place,
    object::{Attached, Object},
    target::Whose,
};
use crate::host::process::Table as Processes;

/// Rounds of looking for children that were born while their parents were
/// written down.
const ROUNDS: usize = 8;

/// A rule, before it has a slot.
#[derive(Debug, Clone)]
pub struct RuleSpec {
    /// What was asked for.
    pub params: SyscallParams,
    /// Whose calls.
    pub whose: Whose,
    /// Where each call is judged, by its number.
    pub places: Vec<(u32, Place)>,
    /// What the path stands for; empty without one.
    pub roots: Vec<Root>,
    /// Boot-time nanosecond at which it ends.
    pub expires_boot_ns: u64,
    /// Seed of its draws.
    pub seed: u64,
}

/// A rule's place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u32);

impl Slot {
    const fn bit(self) -> u32 {
        1 << self.0
    }
}

/// What a rule met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that matched.
    pub matched: u64,
    /// Of those: calls that failed.
    pub failed: u64,
    /// Calls, of whomever, that passed the rule's programs unseen since they are
    /// attached; see [`Attached::missed`].
    pub missed: u64,
}

/// Every rule of the family.
#[derive(Default)]
pub struct Table(Mutex<Option<Loaded>>);

struct Loaded {
    object: Object,
    config: Config,
    rules: BTreeMap<Slot, RuleSpec>,
    attached: BTreeMap<Place, Attached>,
    last: Slot,
    _children: Vec<Attached>,
}

impl Table {
    /// Puts a rule in force, wholly or not at all.
    ///
    /// # Errors
    /// When there is no free slot, or the kernel refuses something.
    pub fn add(&self, spec: &RuleSpec) -> anyhow::Result<Slot> {
        let mut table = self.lock();
        let loaded = match table.as_mut() {
            Some(loaded) => loaded,
            None => table.insert(Loaded::new()?),
        };
        let slot = match loaded.free() {
            Some(slot) => slot,
            None => bail!("{SLOTS} syscall faults are in force, which is the most there can be"),
        };
        let added = loaded.add(slot, spec);
        if added.is_err() {
            // What it wrote; a second error would say no more than the first.
            drop(loaded.remove(slot));
        }
        if loaded.rules.is_empty() {
            *table = None;
        }
        added.map(|()| slot)
    }

    /// Takes a rule back; goes on after errors.
    ///
    /// # Errors
    /// Everything that could not be taken back.
    pub fn remove(&self, slot: Slot) -> anyhow::Result<()> {
        let mut table = self.lock();
        let Some(loaded) = table.as_mut() else { return Ok(()) };
        let errors = loaded.remove(slot);
        if loaded.rules.is_empty() {
            *table = None;
            return Ok(()); // Every map is gone, and what was left in them.
        }
        if errors.is_empty() {
            return Ok(());
        }
        let words: Vec<_> = errors.iter().map(|e| format!("{e:#}")).collect();
        bail!("{}", words.join("; "))
    }

    /// What a rule met.
    pub fn counts(&self, slot: Slot) -> Counts {
        let table = self.lock();
        let Some(loaded) = table.as_ref() else { return Counts::default() };
        let state = loaded.object.maps.states.get(&slot.0, 0).unwrap_or_default();
        let max = loaded.rules.get(&slot).and_then(|spec| spec.params.max);
        let most = max.map_or(u64::MAX, u64::from);
        let places = loaded.rules.get(&slot).into_iter().flat_map(|spec| &spec.places);
        let places: BTreeSet<&Place> = places.map(|(_, place)| place).collect();
        let missed =
            places.into_iter().filter_map(|p| loaded.attached.get(p)).map(Attached::missed);
        Counts { matched: state.matched, failed: state.chosen.min(most), missed: missed.sum() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    fn new() -> anyhow::Result<Self> {
        let object = Object::load()?;
        let config = object.maps.settings.get(&0, 0).context("eBPF map SETTINGS")?;
        let children = object.follow_children()?;
        Ok(Self {
            object,
            config,
            rules: BTreeMap::new(),
            attached: BTreeMap::new(),
            last: Slot(SLOTS - 1),
            _children: children,
        })
    }

    /// The slot after the last one given that is free: a program that is just
    /// looking at a rule that ended shall not find another one in its place.
    fn free(&mut self) -> Option<Slot> {
        let free = (1..=SLOTS)
            .map(|n| Slot((self.last.0 + n) % SLOTS))
            .find(|slot| !self.rules.contains_key(slot))?;
        self.last = free;
        Some(free)
    }

    fn add(&mut self, slot: Slot, spec: &RuleSpec) -> anyhow::Result<()> {
        let maps = &mut self.object.maps;
        maps.states.set(slot.0, State::default(), 0).context("eBPF map STATES")?;
        maps.rules.set(slot.0, rule(slot, spec), 0).context("eBPF map RULES")?;
        for (nr, place) in &spec.places {
            let key = CallKey { hook: place.hook, nr: *nr };
            set_bit(&mut maps.calls, key, slot.bit()).context("eBPF map CALLS")?;
        }
        for root in &spec.roots {
            set_bit(&mut maps.roots, *root, slot.bit()).context("eBPF map ROOTS")?;
        }
        self.rules.insert(slot, spec.clone());
        // The fork hook is there already: whom this misses it does not.
        self.join(slot, &spec.whose)?;
        let bit = slot.bit();
        match &spec.whose {
            Whose::Pids(_) => self.config.pids |= bit,
            Whose::Scope { uid, .. } => {
                self.config.scopes |= bit;
                self.config.users |= if uid.is_some() { bit } else { 0 };
            }
        }
        self.config.paths |= if spec.roots.is_empty() { 0 } else { bit };
        self.write_config()?;
        for (_, place) in &spec.places {
            if !self.attached.contains_key(place) {
                let attached = self.object.attach(place)?;
                self.attached.insert(place.clone(), attached);
            }
        }
        Ok(())
    }

    /// Writes down who is meant or exempt.
    fn join(&mut self, slot: Slot, whose: &Whose) -> anyhow::Result<()> {
        let (roots, bit) = match whose {
            Whose::Pids(pids) => (pids, slot.bit()),
            Whose::Scope { exempt, .. } => (exempt, EXEMPT),
        };
        let mut known = std::collections::HashSet::new();
        for _ in 0..ROUNDS {
            let table = Processes::read().context("reading /proc")?;
            let all = table.with_descendants(roots.iter().copied(), &Default::default());
            let new: Vec<u32> = all.into_iter().filter(|pid| known.insert(*pid)).collect();
            if new.is_empty() {
                return Ok(());
            }
            for pid in new {
                let maps = &mut self.object.maps;
                set_bit(&mut maps.pids, pid, bit).context("eBPF map PIDS")?;
                maps.pid_filter.set(pid % FILTERED, 1, 0).context("eBPF map PID_FILTER")?;
            }
        }
        bail!("the target's processes fork faster than they can be written down")
    }

    fn remove(&mut self, slot: Slot) -> Vec<anyhow::Error> {
        let bit = slot.bit();
        let mut errors = Vec::new();
        let mut note = |result: anyhow::Result<()>| errors.extend(result.err());
        let Config { pids, scopes, users, paths, .. } = &mut self.config;
        for set in [pids, scopes, users, paths] {
            *set &= !bit;
        }
        // From here on no program looks at the rule.
        note(self.object.maps.settings.set(0, self.config, 0).context("eBPF map SETTINGS"));
        let spec = self.rules.remove(&slot);
        let needed = |place: &Place| {
            self.rules.values().any(|rule| rule.places.iter().any(|(_, p)| p == place))
        };
        let unneeded: Vec<Place> = self.attached.keys().filter(|p| !needed(p)).cloned().collect();
        for place in unneeded {
            if let Some(attached) = self.attached.remove(&place) {
                attached.detach();
            }
        }
        let maps = &mut self.object.maps;
        note(maps.rules.set(slot.0, Rule::default(), 0).context("eBPF map RULES"));
        for (nr, place) in spec.iter().flat_map(|spec| &spec.places) {
            let key = CallKey { hook: place.hook, nr: *nr };
            note(clear_bit(&mut maps.calls, key, bit).context("eBPF map CALLS"));
        }
        for root in spec.iter().flat_map(|spec| &spec.roots) {
            note(clear_bit(&mut maps.roots, *root, bit).context("eBPF map ROOTS"));
        }
        let members: Vec<u32> = maps.pids.keys().filter_map(Result::ok).collect();
        for pid in members {
            note(clear_bit(&mut maps.pids, pid, bit).context("eBPF map PIDS"));
        }
        errors
    }

    fn write_config(&mut self) -> anyhow::Result<()> {
        self.object.maps.settings.set(0, self.config, 0).context("eBPF map SETTINGS")
    }
}

fn rule(slot: Slot, spec: &RuleSpec) -> Rule {
    let params = &spec.params;
    let (group, uid) = match spec.whose {
        Whose::Pids(_) => (None, None),
        Whose::Scope { group, uid, .. } => (group, uid),
    };
    let (cgroup, level) = group.unwrap_or_default();
    Rule {
        expires_boot_ns: spec.expires_boot_ns.min(NO_LIMIT),
        seed: spec.seed,
        probability: params
            .percent
            .map_or(ALWAYS, |percent| (percent / 100.0 * ALWAYS as f64).round() as u64),
        every: params.every.unwrap_or(1).into(),
        first: params.first.map_or(NO_LIMIT, u64::from),
        max: params.max.map_or(NO_LIMIT, u64::from),
        cgroup,
        cgroup_mask: if group.is_some() { u64::MAX } else { 0 },
        level,
        uid: uid.unwrap_or(0),
        uid_mask: if uid.is_some() { u32::MAX } else { 0 },
        errno: params.errno.map_or(0, |errno| errno.number().into()),
        bit: slot.bit(),
        pad: 0,
    }
}

fn set_bit<K: Pod>(map: &mut HashMap<MapData, K, u32>, key: K, bit: u32) -> Result<(), MapError> {
    let known = match map.get(&key, 0) {
        Ok(bits) => bits,
        Err(MapError::KeyNotFound) => 0,
        Err(e) => return Err(e),
    };
    map.insert(key, known | bit, 0)
}

fn clear_bit<K: Pod>(map: &mut HashMap<MapData, K, u32>, key: K, bit: u32) -> Result<(), MapError> {
    match map.get(&key, 0) {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(e) => Err(e),
        Ok(bits) if bits & bit == 0 => Ok(()),
        Ok(bits) if bits == bit => match map.remove(&key) {
            // The process went, or is being forgotten.
            Err(MapError::KeyNotFound) => Ok(()),
            done => done,
        },
        Ok(bits) => map.insert(key, bits & !bit, 0),
    }
}
