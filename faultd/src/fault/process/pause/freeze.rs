//! Pausing a control group by its freezer.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use faultd_api::PlanStep;

use super::describe;
use crate::{
    engine::{
        journal::{Journal, Ticket},
        plan::{Applied, ApplyCx, Observation, Step, StepError},
    },
    host::cgroup::Freezer,
};

/// How long the start of the fault waits for everything to stand still: longer
/// than a scheduling delay, shorter than anybody's patience.
const SETTLING: Duration = Duration::from_millis(250);

/// The groups that are frozen by faults of this daemon. Several faults may
/// freeze one; the last one that ends thaws it.
#[derive(Default)]
pub struct Freezes(Mutex<HashMap<PathBuf, Frozen>>);

struct Frozen {
    ticket: Ticket,
    holders: usize,
}

impl Freezes {
    /// Whether a fault holds this group.
    pub fn has(&self, freezer: &Freezer) -> bool {
        self.groups().contains_key(freezer.dir())
    }

    /// Freezes a group, or joins the faults that do. Returns false where
    /// somebody else has frozen it: then there is nothing to take back.
    fn hold(
        &self,
        freezer: &Freezer,
        owner: &str,
        expires_boot_ns: u64,
        journal: &Journal,
    ) -> anyhow::Result<bool> {
        let mut groups = self.groups();
        if let Some(frozen) = groups.get_mut(freezer.dir()) {
            frozen.ticket.extend(expires_boot_ns)?;
            frozen.holders += 1;
            return Ok(true);
        }
        if freezer.is_wanted()? {
            return Ok(false);
        }
        let ticket = journal.record(owner, expires_boot_ns, freezer.undo())?;
        if let Err(e) = freezer.freeze() {
            ticket.undo()?;
            return Err(e.into());
        }
        groups.insert(freezer.dir().to_owned(), Frozen { ticket, holders: 1 });
        Ok(true)
    }

    fn release(&self, freezer: &Freezer) -> anyhow::Result<()> {
        let mut groups = self.groups();
        let Some(frozen) = groups.get_mut(freezer.dir()) else { return Ok(()) };
        frozen.holders -= 1;
        if frozen.holders > 0 {
            return Ok(());
        }
        if let Some(frozen) = groups.remove(freezer.dir()) {
            frozen.ticket.undo()?;
        }
        Ok(())
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<PathBuf, Frozen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Freezes a control group.
pub struct FreezeStep {
    freezes: Arc<Freezes>,
    freezer: Freezer,
}

impl FreezeStep {
    /// For one group.
    pub fn new(freezes: Arc<Freezes>, freezer: Freezer) -> Self {
        Self { freezes, freezer }
    }
}

impl Step for FreezeStep {
    fn describe(&self) -> PlanStep {
        describe(format!("freeze {}", self.freezer.dir().display()), "thawed")
    }

    fn apply(self: Box<Self>, cx: &ApplyCx<'_>) -> Result<Box<dyn Applied>, StepError> {
        let Self { freezes, freezer } = *self;
        let what = || format!("freeze {}", freezer.dir().display());
        let held = freezes.hold(&freezer, cx.fault, cx.expires_boot_ns, cx.journal);
        let held = held.map_err(|e| StepError::new(what(), e))?;
        settle(&freezer);
        Ok(Box::new(FrozenGroup { freezes, freezer, held }))
    }
}

/// A process in an uninterruptible wait freezes when that is over, which is no
/// error: the report tells.
fn settle(freezer: &Freezer) {
    let start = Instant::now();
    while !freezer.is_settled().unwrap_or(true) && start.elapsed() < SETTLING {
        thread::sleep(Duration::from_millis(1));
    }
}

struct FrozenGroup {
    freezes: Arc<Freezes>,
    freezer: Freezer,
    held: bool,
}

impl Applied for FrozenGroup {
    fn revert(&mut self) -> Result<(), StepError> {
        if !std::mem::take(&mut self.held) {
            return Ok(());
        }
        let what = format!("thaw {}", self.freezer.dir().display());
        self.freezes.release(&self.freezer).map_err(|e| StepError::new(what, e))
    }

    fn observe(&mut self) -> Observation {
        let mut seen = Observation::default();
        // A group that is gone has no members.
        let members = self.freezer.members().map_or(0, |members| members.len());
        let frozen = self.freezer.is_settled().unwrap_or(false);
        seen.counters.matched = members as u64;
        if frozen {
            seen.counters.affected = members as u64;
        }
        if members > 0 {
            // The kernel tells of the group as a whole.
            seen.achieved.insert("percent".to_owned(), if frozen { 100.0 } else { 0.0 });
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, io};

    use super::*;
    use crate::host::cgroup::{find, tests::OwnCgroup};

    #[test]
    fn the_last_fault_thaws_and_others_frozen_groups_stay() -> io::Result<()> {
        let Some(group) = OwnCgroup::v2("freezes") else { return Ok(()) };
        let dir = tempfile::tempdir()?;
        let (journal, _) = Journal::open(dir.path())?;
        let found = find(&group.name()).map_err(io::Error::other)?;
        let freezer = Freezer::of(&found, &BTreeSet::new(), |_| true).map_err(io::Error::other)?;
        let freezes = Freezes::default();
        let hold = |n| freezes.hold(&freezer, "f", n, &journal).map_err(io::Error::other);
        assert!(hold(1)? && hold(2)?);
        assert_eq!(journal.pending().0, 1);
        freezes.release(&freezer).map_err(io::Error::other)?;
        assert!(freezer.is_wanted()?, "thawed while another fault holds it");
        freezes.release(&freezer).map_err(io::Error::other)?;
        assert!(!freezer.is_wanted()?);
        assert_eq!(journal.pending().0, 0);

        freezer.freeze()?;
        assert!(!hold(3)?, "it was taken for ours");
        assert_eq!(journal.pending().0, 0);
        freezer.undo().replay().map_err(io::Error::other)
    }
}
