//! How filters end with their daemon.
//!
//! A TCX link goes with the process that holds it; a clsact filter stays. When
//! daemon and guardian are both killed nobody is left to delete it, so while
//! there are filters the programs keep to a lease that the daemon renews: when
//! it runs out, rules do nothing any more, and what is left is a filter that
//! passes everything until the next start or `faultd recover` deletes it.
//!
//! The renewals come from a real-time thread of their own: neither a busy
//! executor nor a fault that takes all processors makes a rule pause. The
//! guardian takes no part: when it lives it undoes the filters anyway.

use std::{
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use aya::maps::MapError;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};
use std::os::fd::AsFd as _;

use super::super::{PlaneError, lock, object::ArrayMap};
use crate::{engine::clock::boot_ns, fault::net::realtime::make_punctual};

/// How long rules outlive their daemon: below the second that is promised, and
/// three renewals that may come late.
const TERM: Duration = Duration::from_millis(800);

/// Time between renewals.
const RENEWAL: Duration = Duration::from_millis(200);

/// A lease without end: what holds the programs goes with the process.
const ENDLESS: u64 = u64::MAX;

/// The lease of one plane's rules.
pub struct Lease {
    map: Arc<Mutex<ArrayMap<u64>>>,
    renewals: Option<Renewals>,
}

impl Lease {
    /// A lease without end.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn new(mut map: ArrayMap<u64>) -> Result<Self, MapError> {
        map.set(0, ENDLESS, 0)?;
        Ok(Self { map: Arc::new(Mutex::new(map)), renewals: None })
    }

    /// From now on rules are in force only as long as this process lives.
    ///
    /// # Errors
    /// When the map cannot be written or no thread can be had.
    pub fn begin(&mut self) -> Result<(), PlaneError> {
        if self.renewals.is_some() {
            return Ok(());
        }
        renew(&self.map)?;
        match Renewals::start(Arc::clone(&self.map)) {
            Ok(renewals) => self.renewals = Some(renewals),
            Err(error) => return Err(error.and(self.end().err())),
        }
        Ok(())
    }

    /// The lease is without end again, and nothing wakes up for it.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn end(&mut self) -> Result<(), PlaneError> {
        self.renewals = None;
        Ok(lock(&self.map).set(0, ENDLESS, 0)?)
    }

    /// Whether the lease has to be renewed.
    pub const fn is_running(&self) -> bool {
        self.renewals.is_some()
    }

    /// What the death of the process does to the lease.
    #[cfg(test)]
    pub fn abandon(&mut self) {
        self.renewals = None;
    }
}

fn renew(map: &Mutex<ArrayMap<u64>>) -> Result<(), MapError> {
    let until = boot_ns() + TERM.as_nanos() as u64;
    lock(map).set(0, until, 0)
}

/// The thread that renews, until this is dropped.
struct Renewals {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Renewals {
    fn start(map: Arc<Mutex<ArrayMap<u64>>>) -> Result<Self, PlaneError> {
        let fail = |source| PlaneError::Host { what: "keeping rules in force".to_owned(), source };
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(|e| fail(e.into()))?;
        let stop = Arc::new(stop);
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("plane-lease".to_owned())
            .spawn(move || run(&map, &told))
            .map_err(fail)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Renewals {
    fn drop(&mut self) {
        // An event counter that is written once cannot be full.
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(map: &Mutex<ArrayMap<u64>>, stop: &EventFd) {
    make_punctual("rules on a kernel without TCX");
    let time = PollTimeout::try_from(RENEWAL).unwrap_or(PollTimeout::ZERO);
    loop {
        let mut fds = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, time) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return,
            Err(errno) => return tracing::error!("rules end: their renewal failed: {errno}"),
        }
        if let Err(error) = renew(map) {
            tracing::error!("rules pause: their renewal failed: {error}");
        }
    }
}
