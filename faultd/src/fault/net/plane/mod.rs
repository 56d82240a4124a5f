//! The network data plane: the eBPF programs with their rule table, one
//! loaded instance for each network namespace.
//!
//! Loading attaches nothing. [`Plane::add`] puts a rule in force, wholly or not
//! at all: it attaches the programs where the rule needs them, writes the rule
//! into a free slot, and links it into the index. [`Plane::remove`] does the
//! same backwards, goes on after errors, and detaches what nobody needs any
//! more.
//!
//! Invariants:
//! - A rule that the index leads to is complete, and what it needs (programs,
//!   delay line) is there.
//! - Everything here ends with the process, but for clsact filters on kernels
//!   without TCX, which are journalled.
//! - Rules carry their deadline; the programs keep to it on their own.

mod address;
mod attach;
mod core;
mod distributions;
mod error;
mod index;
mod line;
mod log;
mod object;
mod origins;
mod pids;
mod place;
mod process;
mod slots;
mod spec;
mod tables;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use attach::Expedite;
pub use attach::Place;
pub use distributions::quantiles;
pub use error::PlaneError;
pub use faultd_abi::Counters;
pub use line::{DelayLine, LineRefused, Way};
pub use log::LOG_TARGET;
pub use object::{LoadError, LoadOptions, program};
pub use spec::{Action, Flow, Hooks, Loss, RuleSpec, Scope, Via};

use crate::{engine::journal::Journal, host::netns::Netns};
use core::Core;
use object::ArrayMap;
use watch::Watch;

/// A rule's place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u16);

impl From<Slot> for u16 {
    fn from(slot: Slot) -> Self {
        slot.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The data plane of one network namespace.
pub struct Plane {
    core: Arc<Mutex<Core>>,
    heartbeat: Arc<Mutex<ArrayMap<u64>>>,
    bypass_mark: u32,
    watch: Mutex<Option<Watch>>,
    _log: Option<log::LogReader>,
}

impl Plane {
    /// Loads the programs for a namespace. Attaches nothing.
    ///
    /// # Errors
    /// When the kernel refuses the object, or its log cannot be read.
    pub fn load(
        netns: &Netns,
        journal: &Journal,
        options: LoadOptions,
    ) -> Result<Self, PlaneError> {
        let mut object = object::Object::load(options)?;
        let log = if options.log { Some(log::LogReader::start(&mut object.ebpf)?) } else { None };
        let (core, heartbeat) = Core::new(netns.clone(), journal.clone(), object)?;
        Ok(Self {
            core: Arc::new(Mutex::new(core)),
            heartbeat: Arc::new(Mutex::new(heartbeat)),
            bypass_mark: options.bypass_mark,
            watch: Mutex::default(),
            _log: log,
        })
    }

    /// The skb mark that the programs let pass.
    pub const fn bypass_mark(&self) -> u32 {
        self.bypass_mark
    }

    /// Puts a rule in force. A rule for every interface also holds on those
    /// that come up later.
    ///
    /// # Errors
    /// When the rule cannot be held, or the kernel refuses something; nothing
    /// of the rule remains then.
    pub fn add(&self, spec: &RuleSpec) -> Result<Slot, PlaneError> {
        // The watch first, so that no interface falls in between.
        self.watch_if_needed(spec)?;
        let added = lock(&self.core).add(spec).map(Slot);
        if added.is_err() {
            self.unwatch_if_unused();
        }
        added
    }

    /// Takes a rule back. What of it can be taken back is, whatever fails.
    ///
    /// # Errors
    /// All that went wrong.
    pub fn remove(&self, slot: Slot) -> Result<(), PlaneError> {
        let result = lock(&self.core).remove(slot.0);
        self.unwatch_if_unused();
        result
    }

    /// What a rule met and did, over all CPUs; zeros once it is gone.
    pub fn counters(&self, slot: Slot) -> Counters {
        lock(&self.core).counters(slot.0)
    }

    /// Leaves a connection alone until [`Plane::unexempt`] was called as often.
    ///
    /// # Errors
    /// When the table of such flows is full.
    pub fn exempt(&self, flow: &Flow) -> Result<(), PlaneError> {
        lock(&self.core).exempt(flow)
    }

    /// Takes back one [`Plane::exempt`].
    ///
    /// # Errors
    /// When the table refuses.
    pub fn unexempt(&self, flow: &Flow) -> Result<(), PlaneError> {
        lock(&self.core).unexempt(flow)
    }

    /// Lets packets be held by `line` from now on.
    ///
    /// # Errors
    /// When rules still use another one and cannot be moved.
    pub fn connect_line(&self, line: Arc<dyn DelayLine>) -> Result<(), PlaneError> {
        lock(&self.core).connect_line(line)
    }

    /// Lets go of the delay line; its rules pass packets from now on.
    ///
    /// # Errors
    /// What could not be taken back; the line is no longer used all the same.
    pub fn disconnect_line(&self) -> Result<(), PlaneError> {
        let result = lock(&self.core).disconnect_line();
        // A line that is gone must not look alive to the next rule.
        let stopped = lock(&self.heartbeat).set(0, 0_u64, 0).map_err(PlaneError::from);
        result.and(stopped)
    }

    /// What the delay line calls with CLOCK_BOOTTIME in nanoseconds, from any
    /// thread and at least once a second, to show that it is alive.
    pub fn heartbeat(&self) -> Box<dyn FnMut(u64) + Send> {
        let map = Arc::clone(&self.heartbeat);
        Box::new(move |now| {
            if let Err(error) = lock(&map).set(0, now, 0) {
                tracing::error!("heartbeat of the delay line: {error}");
            }
        })
    }

    /// Where programs are attached, and how.
    pub fn attachments(&self) -> Vec<(Place, &'static str)> {
        lock(&self.core).attachments()
    }

    /// How many rules there are.
    pub fn rule_count(&self) -> usize {
        lock(&self.core).rule_count()
    }

    /// What went wrong inside the programs, by name; only what did.
    pub fn notes(&self) -> Vec<(&'static str, u64)> {
        lock(&self.core).notes()
    }

    fn watch_if_needed(&self, spec: &RuleSpec) -> Result<(), PlaneError> {
        let mut watch = lock(&self.watch);
        if watch.is_none() && spec.is_open() {
            let netns = lock(&self.core).netns().clone();
            *watch = Some(Watch::start(&netns, Arc::downgrade(&self.core))?);
        }
        Ok(())
    }

    fn unwatch_if_unused(&self) {
        let mut watch = lock(&self.watch);
        if watch.is_some() && !lock(&self.core).has_open_rules() {
            *watch = None;
        }
    }
}

/// A poisoned lock means that a thread panicked; what it guards is still the
/// best that is known, and taking back must go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
