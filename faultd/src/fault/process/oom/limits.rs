//! The limits of a memory control group while they are lowered: each is in the
//! undo journal before it is changed.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Context;

use crate::{
    engine::journal::{Journal, Ticket},
    host::{cgroup::MemoryGroup, undo::Undo},
};

/// Files that were changed, and how they get back what they held. A change may
/// take as long as the kernel reclaims; putting back never waits for it.
pub struct Limits {
    group: MemoryGroup,
    fault: String,
    expires_boot_ns: u64,
    journal: Journal,
    changes: Mutex<Changes>,
}

#[derive(Default)]
struct Changes {
    tickets: Vec<Ticket>,
    undos: Vec<Undo>,
    /// Everything was put back, and stays so.
    restored: bool,
}

impl Limits {
    /// Of one group, for one fault.
    pub fn new(group: MemoryGroup, fault: &str, expires_boot_ns: u64, journal: &Journal) -> Self {
        Self {
            group,
            fault: fault.to_owned(),
            expires_boot_ns,
            journal: journal.clone(),
            changes: Mutex::default(),
        }
    }

    /// Their group.
    pub fn group(&self) -> &MemoryGroup {
        &self.group
    }

    /// When they have to be back, on the boot clock.
    pub fn expires_boot_ns(&self) -> u64 {
        self.expires_boot_ns
    }

    /// Puts into the journal what a file of the group holds.
    ///
    /// # Errors
    /// When there is no such file, or the journal is full; the file must then
    /// not be changed.
    pub fn remember(&self, file: &str) -> anyhow::Result<()> {
        let path = self.group.dir().join(file).display().to_string();
        let content = self.group.read(file)?;
        let undo = Undo::WriteFile { path, content };
        let mut changes = self.changes();
        anyhow::ensure!(!changes.restored, "the fault is over");
        let ticket = self.journal.record(&self.fault, self.expires_boot_ns, undo.clone())?;
        changes.tickets.push(ticket);
        changes.undos.push(undo);
        Ok(())
    }

    /// Changes a file that is in the journal.
    ///
    /// # Errors
    /// The kernel's refusal; `ECANCELED` when everything was put back.
    pub fn write(&self, file: &str, value: u64) -> io::Result<()> {
        if self.changes().restored {
            return Err(io::Error::from_raw_os_error(libc::ECANCELED));
        }
        let written = self.group.write(file, &value.to_string());
        let changes = self.changes();
        if changes.restored {
            // It took longer than the fault: once more, on top of it.
            for undo in changes.undos.iter().rev() {
                undo.replay().map_err(io::Error::other)?;
            }
        }
        written
    }

    /// Puts everything back, the newest first; nothing is changed afterwards.
    ///
    /// # Errors
    /// What could not be put back; all of the rest was.
    pub fn restore(&self) -> anyhow::Result<()> {
        let mut changes = self.changes();
        changes.restored = true;
        let mut result = Ok(());
        for ticket in changes.tickets.drain(..).rev() {
            let undone = ticket.undo().context("memory limits");
            if result.is_ok() {
                result = undone;
            }
        }
        result
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether anything could be swapped out on this host.
pub fn host_has_swap() -> bool {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("SwapTotal:"));
    total.is_some_and(|total| total.trim() != "0 kB")
}
