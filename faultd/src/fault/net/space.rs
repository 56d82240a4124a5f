//! One network namespace as the faults in it share it: its rule table, its
//! delay line, the qdiscs of ours.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{
    line::{Line, LineConfig, LineError},
    plane::{DelayLine, Expedite, LoadOptions, Plane, PlaneError},
    qdisc::Qdiscs,
};
use crate::{
    chain::chain,
    engine::journal::Journal,
    host::{
        memory,
        netns::{Netns, NetnsError},
    },
};

/// Bound on the memory for held packets: half a second of 4 Gbit/s.
const LINE_BYTES: usize = 256 << 20;

/// Why a namespace could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The namespace cannot be entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The rule table.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// The delay line.
    #[error(transparent)]
    Line(#[from] LineError),
}

/// The network family: every namespace that has rules, and the daemon's own.
pub struct Net {
    own: Netns,
    spaces: Mutex<HashMap<u64, Arc<Space>>>,
    journal: Journal,
    options: LoadOptions,
}

impl Net {
    /// Loads nothing yet: see [`Net::warm_up`].
    ///
    /// # Errors
    /// When the daemon's own namespace cannot be told.
    pub fn new(journal: &Journal, options: LoadOptions) -> Result<Arc<Self>, NetError> {
        let own = Netns::current()?;
        Ok(Arc::new(Self { own, spaces: Mutex::default(), journal: journal.clone(), options }))
    }

    /// Loads the programs for the daemon's own namespace, in the background, so that the first
    /// fault need not wait for the kernel's verifier. Attaches nothing.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn warm_up(self: &Arc<Self>) -> io::Result<()> {
        let net = Arc::clone(self);
        let load = move || {
            // The first fault tries again, and its caller is told.
            if let Err(error) = net.space(&net.own) {
                tracing::warn!("loading the network programs: {}", chain(&error));
            }
            memory::give_back();
        };
        thread::Builder::new().name("net-load".to_owned()).spawn(load)?;
        Ok(())
    }

    /// The shared parts of a namespace, loaded if this is its first rule.
    ///
    /// # Errors
    /// When the kernel refuses the programs.
    pub fn space(&self, netns: &Netns) -> Result<Arc<Space>, NetError> {
        let mut spaces = lock(&self.spaces);
        if let Some(space) = spaces.get(&netns.ino()) {
            return Ok(Arc::clone(space));
        }
        let space = Space::load(netns.clone(), &self.journal, self.options)?;
        spaces.insert(netns.ino(), Arc::clone(&space));
        Ok(space)
    }

    /// Forgets a namespace that has no rules any more; the daemon's own stays loaded.
    pub fn tidy(&self, netns: &Netns) {
        if netns.ino() == self.own.ino() {
            return;
        }
        lock(&self.spaces).retain(|ino, space| *ino != netns.ino() || space.plane.rule_count() > 0);
    }
}

/// One namespace.
pub struct Space {
    /// Which.
    pub netns: Netns,
    /// Its rules.
    pub plane: Plane,
    journal: Journal,
    line: Mutex<LineUse>,
    qdiscs: Mutex<Qdiscs>,
}

#[derive(Default)]
struct LineUse {
    line: Option<Arc<Line>>,
    users: usize,
}

impl Space {
    fn load(netns: Netns, journal: &Journal, options: LoadOptions) -> Result<Arc<Self>, NetError> {
        let plane = Plane::load(&netns, journal, options)?;
        let journal = journal.clone();
        Ok(Arc::new(Self {
            netns,
            plane,
            journal,
            line: Mutex::default(),
            qdiscs: Mutex::default(),
        }))
    }

    /// The qdiscs of ours.
    pub fn qdiscs(&self) -> MutexGuard<'_, Qdiscs> {
        lock(&self.qdiscs)
    }

    /// The delay line, started if nobody uses it yet. Pair with
    /// [`Space::leave_line`].
    ///
    /// # Errors
    /// When it cannot be started; it is not used then.
    pub fn join_line(&self) -> Result<Arc<Line>, NetError> {
        let mut usage = lock(&self.line);
        // One that was broken from outside (its TAP deleted) is replaced.
        if let Some(line) = usage.line.as_ref().filter(|line| line.is_whole()) {
            let line = Arc::clone(line);
            usage.users += 1;
            return Ok(line);
        }
        let line = Arc::new(Line::start(LineConfig {
            netns: self.netns.clone(),
            mark: self.plane.bypass_mark(),
            journal: self.journal.clone(),
            heartbeat: self.plane.heartbeat(),
            max_bytes: LINE_BYTES,
        })?);
        self.plane.connect_line(Arc::clone(&line) as Arc<dyn DelayLine>)?;
        usage.line = Some(Arc::clone(&line));
        usage.users += 1;
        Ok(line)
    }

    /// Leaves the delay line; the last user takes it down.
    ///
    /// # Errors
    /// When the rule table could not let go of it; it is down all the same.
    pub fn leave_line(&self) -> Result<(), NetError> {
        let mut usage = lock(&self.line);
        usage.users = usage.users.saturating_sub(1);
        if usage.users > 0 {
            return Ok(());
        }
        // Closing packet sockets and the TAP waits for RCU several times over.
        let _expedite = Expedite::start(&self.journal);
        let result = self.plane.disconnect_line();
        usage.line = None;
        Ok(result?)
    }
}

/// A poisoned lock means that a thread panicked between two consistent
/// states; what it guards is still the best that is known.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
