//! Attaching without the wait.
//!
//! A change of an interface's programs waits for an RCU grace period
//! (`tcx_entry_sync`, include/net/tcx.h), 8 to 20 ms. While
//! `/sys/kernel/rcu_expedited` holds 1 that is a tenth of a millisecond; one
//! such wait costs every CPU an interrupt.

use std::{
    fs,
    sync::{Mutex, PoisonError},
};

use crate::{
    engine::{
        clock::boot_ns,
        journal::{Journal, Ticket},
    },
    host::undo::Undo,
};

const SWITCH: &str = "/sys/kernel/rcu_expedited";

/// How long the guardian leaves it alone, should the daemon hang meanwhile.
const LIMIT_NS: u64 = 1_000_000_000;

/// How many are at it, and who turns the switch back.
static IN_USE: Mutex<(usize, Option<Ticket>)> = Mutex::new((0, None));

/// RCU grace periods are short while this lives; where that cannot be had,
/// they are what they are.
pub struct Expedite(());

impl Expedite {
    /// Turns the switch on, unless it is.
    pub fn start(journal: &Journal) -> Self {
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.0 += 1;
        if in_use.0 == 1 {
            in_use.1 = turn_on(journal);
        }
        Self(())
    }
}

impl Drop for Expedite {
    fn drop(&mut self) {
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.0 -= 1;
        if in_use.0 > 0 {
            return;
        }
        if let Some(Err(error)) = in_use.1.take().map(Ticket::undo) {
            tracing::warn!("{error}");
        }
    }
}

fn turn_on(journal: &Journal) -> Option<Ticket> {
    let content = fs::read_to_string(SWITCH).ok()?;
    if content.trim() != "0" {
        return None;
    }
    let undo = Undo::WriteFile { path: SWITCH.to_owned(), content };
    let expires = boot_ns() + LIMIT_NS;
    let ticket = journal.record("plane", expires, undo).ok()?;
    // Not writable (a container's sysfs): slower, that is all.
    let _ = fs::write(SWITCH, "1");
    Some(ticket)
}
