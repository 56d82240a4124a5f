//! What living daemons and guardians have written down to take back: whatever
//! is not among it and bears faultd's marks was left behind.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{FILE_NAME, JournalFile};
use crate::host::{process::pids, undo::Undo};

/// The pending undos of every journal that a process in sight holds open.
pub fn claimed() -> Vec<Undo> {
    let mut seen = BTreeSet::new();
    let mut undos = Vec::new();
    for path in held() {
        // The daemon and its guardian hold the same one.
        let is_new = fs::metadata(&path).is_ok_and(|m| seen.insert((m.dev(), m.ino())));
        if is_new {
            undos.extend(peek(&path).unwrap_or_default());
        }
    }
    undos
}

/// The pending undos of a state directory whose journal no process holds open.
pub fn abandoned(state_dir: &Path) -> Vec<Undo> {
    let path = state_dir.join(FILE_NAME);
    let Ok(wanted) = fs::metadata(&path) else { return Vec::new() };
    let is_same = |m: fs::Metadata| (m.dev(), m.ino()) == (wanted.dev(), wanted.ino());
    if held().any(|path| fs::metadata(path).is_ok_and(is_same)) {
        return Vec::new();
    }
    peek(&path).unwrap_or_default()
}

/// Descriptors of processes that are open on a file of the journal's name.
fn held() -> impl Iterator<Item = PathBuf> {
    let descriptors = |pid| fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let is_journal = |link: PathBuf| link.file_name().is_some_and(|name| name == FILE_NAME);
    pids()
        .into_iter()
        .flat_map(descriptors)
        .map(|entry| entry.path())
        .filter(move |path| fs::read_link(path).is_ok_and(is_journal))
}

/// The pending undos of a journal, read without its lock: an entry that is
/// being written is not whole yet, nor is its effect there.
fn peek(path: &Path) -> io::Result<Vec<Undo>> {
    let journal = JournalFile::read_only(File::open(path)?);
    if !journal.is_of_this_boot()? {
        return Ok(Vec::new());
    }
    Ok(journal.pending()?.into_iter().map(|found| found.entry.undo).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::journal::Journal;

    #[test]
    fn what_is_in_an_open_journal_is_claimed_and_else_abandoned() {
        let dir = tempfile::tempdir().unwrap();
        let undo = Undo::WriteFile {
            path: dir.path().join("x").display().to_string(),
            content: "1".into(),
        };
        assert!(abandoned(dir.path()).is_empty(), "no journal");
        let (journal, _) = Journal::open(dir.path()).unwrap();
        let ticket = journal.record("f-1", u64::MAX, undo.clone()).unwrap();
        assert_eq!(claimed().iter().filter(|claim| **claim == undo).count(), 1);
        assert!(abandoned(dir.path()).is_empty(), "somebody lives there");
        drop(journal);
        // The ticket holds the journal, too; a daemon that dies drops nothing.
        std::mem::forget(ticket);
        assert!(claimed().contains(&undo));
    }

    #[test]
    fn other_files_of_that_name_claim_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, "no journal at all").unwrap();
        assert!(peek(&path).is_err() && abandoned(dir.path()).is_empty());
    }
}
