use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use tempfile::TempDir;

use super::{slot::SLOT_BYTES, *};

const NEVER: u64 = u64::MAX;

struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> (Journal, ReplayReport) {
        Journal::open(self.dir.path()).unwrap()
    }

    fn reader(&self) -> JournalFile {
        JournalFile::open_existing(&self.dir.path().join(FILE_NAME)).unwrap().unwrap()
    }

    /// A file with an effect on it, and the undo of that effect.
    fn effect(&self, name: &str) -> (PathBuf, Undo) {
        let path = self.dir.path().join(name);
        fs::write(&path, "1").unwrap();
        let undo =
            Undo::WriteFile { path: path.to_str().unwrap().to_owned(), content: "0".to_owned() };
        (path, undo)
    }

    fn poke(&self, offset: u64, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(self.dir.path().join(FILE_NAME)).unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }
}

#[test]
fn what_a_dead_daemon_left_is_taken_back_at_the_next_start() {
    let bench = Bench::new();
    let (path, undo) = bench.effect("a");
    let (journal, report) = bench.open();
    assert!(report.entries.is_empty());
    let ticket = journal.record("f-aaaaaa", NEVER, undo).unwrap();
    assert_eq!(journal.pending(), (1, 0));
    std::mem::forget(ticket);
    drop(journal);

    let (journal, report) = bench.open();
    assert_eq!(report.entries.len(), 1);
    assert_eq!(report.entries[0].owner, "f-aaaaaa");
    assert_eq!(fs::read_to_string(path).unwrap(), "0");
    assert_eq!(journal.pending(), (0, 0));
}

#[test]
fn a_ticket_takes_its_effect_back_once() {
    let bench = Bench::new();
    let (path, undo) = bench.effect("a");
    let (journal, _) = bench.open();
    journal.record("f", NEVER, undo).unwrap().undo().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "0");
    assert_eq!(journal.pending(), (0, 0));
    fs::write(&path, "later").unwrap();
    let (_, report) = bench.open();
    assert!(report.entries.is_empty(), "a done entry was replayed");
    assert_eq!(fs::read_to_string(&path).unwrap(), "later");
}

#[test]
fn the_newest_effect_is_taken_back_first() {
    let bench = Bench::new();
    let path = bench.dir.path().join("stack");
    fs::write(&path, "3").unwrap();
    let (journal, _) = bench.open();
    for content in ["1", "2"] {
        let undo = Undo::WriteFile {
            path: path.to_str().unwrap().to_owned(),
            content: content.to_owned(),
        };
        std::mem::forget(journal.record("f", NEVER, undo).unwrap());
    }
    bench.open();
    assert_eq!(fs::read_to_string(&path).unwrap(), "1");
}

#[test]
fn an_undo_that_fails_stays_and_is_reported() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    // A directory cannot be written to, whoever tries.
    let undo = Undo::WriteFile {
        path: bench.dir.path().to_str().unwrap().to_owned(),
        content: "0".into(),
    };
    let ticket = journal.record("f", NEVER, undo).unwrap();
    assert!(ticket.undo().is_err());
    assert_eq!(journal.pending(), (1, 1));
    let (journal, report) = bench.open();
    assert_eq!(report.failed().count(), 1);
    assert_eq!(journal.pending(), (1, 1));
}

#[test]
fn a_torn_body_is_not_replayed() {
    let bench = Bench::new();
    let (path, undo) = bench.effect("a");
    let (journal, _) = bench.open();
    std::mem::forget(journal.record("f", NEVER, undo).unwrap());
    bench.poke(SLOT_BYTES as u64 + 40, b"torn");
    let (_, report) = bench.open();
    assert!(report.entries.is_empty());
    assert_eq!(fs::read_to_string(path).unwrap(), "1");
}

#[test]
fn a_torn_mark_counts_as_overdue() {
    let bench = Bench::new();
    let (path, undo) = bench.effect("a");
    let (journal, _) = bench.open();
    std::mem::forget(journal.record("f", NEVER, undo).unwrap());
    bench.poke(SLOT_BYTES as u64 + 8, &[7; 3]);
    let report = replay(&bench.reader(), None, Which::Overdue(1)).unwrap();
    assert_eq!(report.entries.len(), 1);
    assert_eq!(fs::read_to_string(path).unwrap(), "0");
}

#[test]
fn every_truncation_of_a_write_leaves_the_old_or_the_new_state() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let (_, old) = bench.effect("old");
    let (_, new) = bench.effect("new");
    journal.record("old", NEVER, old).unwrap().undo().unwrap();
    let file = bench.dir.path().join(FILE_NAME);
    let before = fs::read(&file).unwrap();
    std::mem::forget(journal.record("new", NEVER, new).unwrap());
    let after = fs::read(&file).unwrap();

    let (start, end) = (SLOT_BYTES, 2 * SLOT_BYTES);
    // The body goes first, its mark free; then the mark.
    let mut body = after.clone();
    body[start..start + 16].fill(0);
    for (from, to, last) in [(&before, &body, end), (&body, &after, start + 16)] {
        for cut in start..=last {
            let mut torn = to.clone();
            torn[cut..].copy_from_slice(&from[cut..]);
            fs::write(&file, &torn).unwrap();
            let owners: Vec<_> =
                bench.reader().pending().unwrap().into_iter().map(|f| f.entry.owner).collect();
            assert!(owners.is_empty() || owners == ["new"], "cut at {cut}: {owners:?}");
        }
    }
}

#[test]
fn no_content_can_be_taken_for_an_entry() {
    let content = "\u{1}".repeat(10 * SLOT_BYTES);
    let undo = Undo::WriteFile { path: "/nonexistent/file".into(), content };
    let slots = slot::encode(1, &Entry { owner: "f".into(), undo }).unwrap();
    assert!(slots.len() > 10);
    for slot in &slots {
        // As encoded, the first is free too: only the mark makes it an entry.
        assert!(slot::Head::decode(slot).is_none());
    }
}

#[test]
fn long_undos_take_several_slots_and_come_back_whole() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let long = "0123456789".repeat(1000);
    let path = bench.dir.path().join("long");
    fs::write(&path, "").unwrap();
    let undo = Undo::WriteFile { path: path.to_str().unwrap().to_owned(), content: long.clone() };
    std::mem::forget(journal.record("f", NEVER, undo).unwrap());
    let (_, report) = bench.open();
    assert_eq!(report.entries.len(), 1);
    assert_eq!(fs::read_to_string(path).unwrap(), long);
}

#[test]
fn space_is_reserved_reused_and_bounded() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let undo = || Undo::WriteFile { path: "/nonexistent/file".into(), content: String::new() };
    let size = || fs::metadata(bench.dir.path().join(FILE_NAME)).unwrap().len();
    let reserved = size();
    let mut tickets: Vec<_> =
        (1..SLOTS).map(|_| journal.record("f", NEVER, undo()).unwrap()).collect();
    assert!(matches!(
        journal.record("f", NEVER, undo()),
        Err(JournalError::Full { pending }) if pending == SLOTS - 1
    ));
    tickets.pop().unwrap().undo().unwrap();
    std::mem::forget(journal.record("f", NEVER, undo()).unwrap());
    assert_eq!(size(), reserved);
}

#[test]
fn entries_of_another_boot_are_dropped() {
    let bench = Bench::new();
    let (path, undo) = bench.effect("a");
    let (journal, _) = bench.open();
    std::mem::forget(journal.record("f", NEVER, undo).unwrap());
    let mut header = fs::read(bench.dir.path().join(FILE_NAME)).unwrap();
    header.truncate(SLOT_BYTES);
    header[16] = if header[16] == b'0' { b'1' } else { b'0' };
    let crc = crc32fast::hash(&header[..SLOT_BYTES - 4]);
    header[SLOT_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    bench.poke(0, &header);
    assert!(replay(&bench.reader(), None, Which::All).unwrap().entries.is_empty());
    let (journal, report) = bench.open();
    assert!(report.entries.is_empty());
    assert_eq!(journal.pending(), (0, 0));
    assert_eq!(fs::read_to_string(path).unwrap(), "1");
}

#[test]
fn a_guardian_replays_only_what_is_overdue_and_only_its_own_daemon() {
    let bench = Bench::new();
    let (early, undo_early) = bench.effect("early");
    let (late, undo_late) = bench.effect("late");
    let (journal, _) = bench.open();
    std::mem::forget(journal.record("early", 100, undo_early).unwrap());
    std::mem::forget(journal.record("late", 200, undo_late).unwrap());
    let reader = bench.reader();
    let generation = journal.generation().unwrap();
    let other = replay(&reader, Some(generation + 1), Which::Overdue(150)).unwrap();
    assert!(other.entries.is_empty());
    let report = replay(&reader, Some(generation), Which::Overdue(150)).unwrap();
    assert_eq!(report.entries.len(), 1);
    assert_eq!(report.next_boot_ns, Some(200));
    assert_eq!(fs::read_to_string(early).unwrap(), "0");
    assert_eq!(fs::read_to_string(late).unwrap(), "1");
}

#[test]
fn overdue_entries_are_taken_back_even_while_the_daemon_hangs_on_the_lock() {
    let bench = Bench::new();
    let (path, undo) = bench.effect("a");
    let (journal, _) = bench.open();
    let ticket = journal.record("f", 1, undo).unwrap();
    let hung = bench.reader();
    let lock = hung.lock().unwrap();
    let report = replay(&bench.reader(), None, Which::Overdue(2)).unwrap();
    assert_eq!(report.failed().count(), 0);
    assert_eq!(fs::read_to_string(&path).unwrap(), "0");
    drop(lock);
    ticket.undo().unwrap();
    assert_eq!(journal.pending(), (0, 0));
}

#[test]
fn the_listener_hears_of_the_earliest_deadline() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let (mut reads, writes) = io::pipe().unwrap();
    journal.set_listener(Some(Box::new(writes)));
    let undo = || Undo::WriteFile { path: "/nonexistent/file".into(), content: String::new() };
    let late = journal.record("late", 200, undo()).unwrap();
    let early = journal.record("early", 100, undo()).unwrap();
    let later = journal.record("later", 300, undo()).unwrap();
    early.extend(250).unwrap();
    late.undo().unwrap();
    early.undo().unwrap();
    later.undo().unwrap();
    journal.set_listener(None);
    let mut heard = Vec::new();
    io::Read::read_to_end(&mut reads, &mut heard).unwrap();
    let heard: Vec<u64> = heard.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
    assert_eq!(heard, [NEVER, 200, 100, 200, 250, 300, NEVER]);
}
