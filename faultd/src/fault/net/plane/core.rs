//! The state of a plane, and how rules come and go.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use aya::maps::MapError;
use faultd_abi as abi;
use faultd_abi::{Config, Counters, ExemptKey, Rule, RuleState};

use super::{
    DelayLine, Flow, PlaneError, RuleSpec, Scope,
    address::exempt_key,
    attach::{Attachments, Lease, Place},
    index::{Index, IndexError, Key},
    object::{ArrayMap, Maps, Object},
    origins::Origins,
    pids::Classes,
    place::{Place as IndexPlace, place},
    slots::{Entry, Slots},
    tables::{MapTables, forgive_absent},
};
use crate::{
    engine::journal::Journal,
    fault::net::line,
    host::{
        links::{self, Framing, Link},
        netns::Netns,
    },
};

/// Everything of a plane that changes.
pub struct Core {
    pub(super) netns: Netns,
    pub(super) ebpf: aya::Ebpf,
    pub(super) maps: Maps,
    pub(super) config: Config,
    pub(super) index: Index,
    pub(super) slots: Slots,
    pub(super) attachments: Attachments,
    pub(super) classes: Classes,
    pub(super) origins: Origins,
    pub(super) line: Option<Arc<dyn DelayLine>>,
    exempt: HashMap<ExemptKey, usize>,
    /// Interfaces whose packets begin with something else than an Ethernet
    /// header.
    pub(super) headless: BTreeSet<u32>,
}

impl Core {
    /// Around a freshly loaded object; the heartbeat's map apart.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub fn new(
        netns: Netns,
        journal: Journal,
        object: Object,
    ) -> Result<(Self, ArrayMap<u64>), PlaneError> {
        let Object { ebpf, maps, heartbeat, lease } = object;
        let core = Self {
            attachments: Attachments::new(netns.clone(), journal, Lease::new(lease)?),
            netns,
            ebpf,
            maps,
            config: Config::default(),
            index: Index::default(),
            slots: Slots::default(),
            classes: Classes::default(),
            origins: Origins::default(),
            line: None,
            exempt: HashMap::new(),
            headless: BTreeSet::new(),
        };
        Ok((core, heartbeat))
    }

    /// The namespace.
    pub const fn netns(&self) -> &Netns {
        &self.netns
    }

    /// See [`super::Plane::add`].
    pub fn add(&mut self, spec: &RuleSpec) -> Result<u16, PlaneError> {
        let rule = spec.encode()?;
        let (slot, generation) = self.slots.take().ok_or(PlaneError::Full("rule slots"))?;
        match self.build(spec, rule, slot, generation) {
            Ok(()) => Ok(slot),
            Err(error) => Err(error.and(self.take_down(slot))),
        }
    }

    /// Puts things in place in the order in which packets need them: what goes
    /// wrong, [`Core::take_down`] takes back from what the entry says.
    fn build(
        &mut self,
        spec: &RuleSpec,
        mut rule: Rule,
        slot: u16,
        generation: u32,
    ) -> Result<(), PlaneError> {
        self.remember(spec, rule.flags, slot);
        let links = self.links_for(spec)?;
        if spec.uses_line() {
            self.open_line(spec, &links, slot)?;
        }
        self.tell_framing(&links)?;
        let places = self.places(spec, &links);
        self.attachments.acquire(&mut self.ebpf, &places, slot, spec.expires_boot_ns)?;

        let IndexPlace { keys, flag } = place(spec, self.index.room());
        rule.generation = generation;
        rule.flags |= flag;
        let at = u32::from(slot);
        self.maps.state.set(at, RuleState::default(), 0)?;
        let zeros = aya::maps::PerCpuValues::try_from(vec![Counters::default(); self.maps.cpus])
            .map_err(|source| PlaneError::Host { what: "per-CPU counters".to_owned(), source })?;
        self.maps.counters.set(at, zeros, 0)?;
        self.maps.rules.set(at, rule, 0)?;
        for key in keys {
            self.link(key, slot, generation)?;
        }
        if let Scope::Pids(pids) = &spec.scope {
            self.join_processes(pids, slot, generation)?;
        }
        self.write_config()
    }

    fn remember(&mut self, spec: &RuleSpec, flags: u32, slot: u16) {
        let Some(entry) = self.slots.get_mut(slot) else { return };
        entry.hooks = spec.hooks.bits();
        entry.open = spec.is_open();
        entry.expires_boot_ns = spec.expires_boot_ns;
        entry.uses_line = spec.uses_line();
        entry.checks_uid = flags & abi::FLAG_CHECK_UID != 0;
        entry.has_pids = matches!(spec.scope, Scope::Pids(_));
        entry.cgroup_level = match spec.scope {
            Scope::Cgroup { level, .. } => Some(level),
            _ => None,
        };
    }

    /// See [`super::Plane::remove`].
    pub fn remove(&mut self, slot: u16) -> Result<(), PlaneError> {
        if self.slots.get(slot).is_none() {
            return Err(PlaneError::NoRule(slot));
        }
        PlaneError::collect(self.take_down(slot))
    }

    /// Takes back whatever there is of a rule, backwards.
    fn take_down(&mut self, slot: u16) -> Vec<PlaneError> {
        let Some(entry) = self.slots.give(slot) else { return Vec::new() };
        let mut errors: Vec<PlaneError> = Vec::new();
        let mut tables = MapTables { maps: &mut self.maps, config: &mut self.config };
        for key in &entry.keys {
            errors.extend(self.index.unlink(&mut tables, *key, slot).err().map(Into::into));
        }
        if entry.has_pids {
            errors.extend(self.leave_processes(slot));
        }
        errors.extend(self.write_config().err());
        let cleared = self.maps.rules.set(u32::from(slot), Rule::FREE, 0);
        errors.extend(cleared.err().map(Into::into));
        if entry.uses_line
            && let Some(line) = &self.line
        {
            line.flush(slot);
        }
        errors.extend(self.attachments.release(slot));
        errors
    }

    /// Links a rule under a key and remembers that it is.
    pub(super) fn link(&mut self, key: Key, slot: u16, generation: u32) -> Result<(), PlaneError> {
        let mut tables = MapTables { maps: &mut self.maps, config: &mut self.config };
        self.index.link(&mut tables, key, slot, generation).map_err(|error| match error {
            IndexError::Full => PlaneError::Full("places in the rule index"),
            IndexError::Table(error) => error.into(),
        })?;
        if let Some(entry) = self.slots.get_mut(slot) {
            entry.keys.push(key);
        }
        Ok(())
    }

    /// Tells the programs which dimensions are in use.
    pub(super) fn write_config(&mut self) -> Result<(), PlaneError> {
        let rules = || self.slots.iter().map(|(_, entry)| entry);
        let arrives =
            |entry: &Entry| entry.hooks & (abi::HOOK_TC_INGRESS | abi::HOOK_CG_INGRESS) != 0;
        let remote = |entry: &&Entry| entry.keys.iter().any(|key| matches!(key, Key::Remote(_)));
        self.config.dimensions = self.index.dimensions();
        if rules().any(|entry| entry.checks_uid) {
            self.config.dimensions |= abi::DIM_UID;
        }
        self.config.cgroup_levels = rules()
            .filter_map(|entry| entry.cgroup_level)
            .fold(0, |levels, level| levels | 1_u32.checked_shl(level).unwrap_or(0));
        self.config.flags =
            if rules().filter(remote).any(arrives) { abi::REMOTE_INGRESS_VIEW } else { 0 };
        self.config.filter_lengths = self.index.filter_lengths();
        self.config.headless_count = self.headless.len() as u32;
        self.config.headless = [0; abi::HEADLESS];
        for (place, ifindex) in self.config.headless.iter_mut().zip(&self.headless) {
            *place = *ifindex;
        }
        self.maps.config.set(0, self.config, 0)?;
        Ok(())
    }

    /// Tells the programs, before they are attached, which of the interfaces
    /// have no Ethernet headers. One that has gone does no harm in the list:
    /// its number is not given out again for long.
    pub(super) fn tell_framing(&mut self, links: &[Link]) -> Result<(), PlaneError> {
        let before = self.headless.len();
        let headless = links.iter().filter(|link| link.framing != Framing::Ethernet);
        self.headless.extend(headless.map(|link| link.ifindex));
        if self.headless.len() == before { Ok(()) } else { self.write_config() }
    }

    /// The interfaces that a rule needs.
    fn links_for(&self, spec: &RuleSpec) -> Result<Vec<Link>, PlaneError> {
        if spec.hooks.on_interfaces().is_empty() {
            return Ok(Vec::new());
        }
        let mut links = links::list(&self.netns)?;
        if spec.ifindexes.is_empty() {
            links.retain(Self::is_covered);
        } else {
            links.retain(|link| spec.ifindexes.contains(&link.ifindex));
        }
        Ok(links)
    }

    /// Whether a rule for every interface is for this one: one that is up and
    /// no TAP of a delay line. These are told by their names, because word of
    /// one comes before the line is connected, and because another daemon may
    /// have one here too: a packet that is sent there has met its rules.
    pub(super) fn is_covered(link: &Link) -> bool {
        link.up && !line::is_own(link)
    }

    fn places(&self, spec: &RuleSpec, links: &[Link]) -> Vec<Place> {
        let mut places: Vec<Place> =
            links.iter().flat_map(|link| link_places(spec.hooks.bits(), link)).collect();
        if spec.hooks.at_sockets() {
            places.push(Place::SocketIngress);
        }
        if matches!(spec.scope, Scope::Pids(_)) {
            places.extend([Place::SocketCreate, Place::Fork]);
        }
        places
    }

    /// See [`super::Plane::counters`].
    pub fn counters(&self, slot: u16) -> Counters {
        let mut sum = Counters::default();
        if self.slots.get(slot).is_none() {
            return sum;
        }
        let Ok(values) = self.maps.counters.get(&u32::from(slot), 0) else { return sum };
        for each in values.iter() {
            sum.matched += each.matched;
            sum.affected += each.affected;
            sum.affected_bytes += each.affected_bytes;
            sum.delay_ns += each.delay_ns;
            sum.passed_no_line += each.passed_no_line;
            sum.exempt += each.exempt;
            sum.expired += each.expired;
            sum.protected += each.protected;
        }
        sum
    }

    /// See [`super::Plane::exempt`].
    pub fn exempt(&mut self, flow: &Flow) -> Result<(), PlaneError> {
        let key = exempt_key(flow);
        let users = self.exempt.get(&key).copied().unwrap_or(0);
        if users == 0 {
            self.maps.exempt.insert(key, 1, 0)?;
            if let Err(error) = self.maps.exempt.insert(key.reversed(), 1, 0) {
                let left = self.maps.exempt.remove(&key).err().map(PlaneError::from);
                return Err(PlaneError::from(error).and(left));
            }
        }
        self.exempt.insert(key, users + 1);
        Ok(())
    }

    /// See [`super::Plane::unexempt`].
    pub fn unexempt(&mut self, flow: &Flow) -> Result<(), PlaneError> {
        let key = exempt_key(flow);
        let Some(users) = self.exempt.get_mut(&key) else { return Ok(()) };
        *users -= 1;
        if *users > 0 {
            return Ok(());
        }
        self.exempt.remove(&key);
        let one = forgive_absent(self.maps.exempt.remove(&key));
        let other = forgive_absent(self.maps.exempt.remove(&key.reversed()));
        let failed = [one, other].into_iter().filter_map(Result::err);
        PlaneError::collect(failed.map(PlaneError::from).collect())
    }

    /// See [`super::Plane::attachments`].
    pub fn attachments(&self) -> Vec<(Place, &'static str)> {
        self.attachments.list()
    }

    /// See [`super::Plane::rule_count`].
    pub fn rule_count(&self) -> usize {
        self.slots.len()
    }

    /// Whether some rule is for every interface.
    pub fn has_open_rules(&self) -> bool {
        self.slots.iter().any(|(_, entry)| entry.open)
    }

    /// See [`super::Plane::notes`].
    pub fn notes(&self) -> Vec<(&'static str, u64)> {
        let names = [
            (abi::NOTE_LINE_FAILED, "not_handed_to_line"),
            (abi::NOTE_NO_LINE, "no_line"),
            (abi::NOTE_PIDS_FULL, "children_not_followed"),
            (abi::NOTE_TAG_FAILED, "sockets_not_tagged"),
            (abi::NOTE_FORK_UNREADABLE, "forks_not_read"),
        ];
        let count = |index: u32| -> Result<u64, MapError> {
            Ok(self.maps.notes.get(&index, 0)?.iter().sum())
        };
        let counted = names.map(|(index, name)| (name, count(index).unwrap_or(0)));
        counted.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// The places on an interface that hooks mean. Loopback needs one only: what
/// leaves there arrives there.
pub(super) fn link_places(hooks: u8, link: &Link) -> Vec<Place> {
    let egress = hooks & abi::HOOK_TC_EGRESS != 0;
    let ingress = hooks & abi::HOOK_TC_INGRESS != 0;
    let mut places = Vec::new();
    if egress || (ingress && link.loopback) {
        places.push(Place::Egress(link.ifindex));
    }
    if ingress && !link.loopback {
        places.push(Place::Ingress(link.ifindex));
    }
    places
}
