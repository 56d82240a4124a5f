//! `faultd recover`: takes back by hand what a dead daemon left.

use std::path::Path;

use super::{
    journal::{FILE_NAME, JournalFile, ReplayReport, Which, replay},
    state_dir::{StateDir, StateDirError},
};
use crate::host::cgroup;

/// Replays the undo journal of a state directory in which no daemon runs.
///
/// # Errors
/// When a daemon runs there, or the journal cannot be read. Undos that fail
/// are in the report.
pub fn recover(state_dir: &Path) -> anyhow::Result<ReplayReport> {
    cgroup::sweep();
    if !state_dir.exists() {
        return Ok(ReplayReport::default());
    }
    let _claim = StateDir::lock(state_dir).map_err(|e| match e {
        StateDirError::InUse(path) => anyhow::anyhow!(
            "a faultd is running on {}; its faults are taken back with `faultctl revert --all`",
            path.display()
        ),
        other => other.into(),
    })?;
    let Some(journal) = JournalFile::open_existing(&state_dir.join(FILE_NAME))? else {
        return Ok(ReplayReport::default());
    };
    Ok(replay(&journal, None, Which::All)?)
}
