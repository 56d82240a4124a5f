//! Kills a process at every write of its journal, before and after, and looks
//! whether everything can be taken back.

use std::{
    env, fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
};

use super::{Journal, slot::SLOT_BYTES};
use crate::host::undo::Undo;

const DIR: &str = "FAULTD_TEST_CRASH_DIR";

/// A life of faults, run in a process of its own: effects are files that hold
/// `1`; their undos write `0`.
fn live(dir: &Path) {
    let (journal, _) = Journal::open(dir).unwrap();
    let start = |name: &str, more: usize| {
        let path = dir.join(name);
        // A long one takes several slots.
        let content = "0".repeat(1 + more);
        let undo = Undo::WriteFile { path: path.to_str().unwrap().into(), content };
        let ticket = journal.record(name, 1 << 40, undo).unwrap();
        fs::write(path, "1").unwrap();
        ticket
    };
    let a = start("a", 0);
    let b = start("b", 3 * SLOT_BYTES);
    a.extend(1 << 41).unwrap();
    a.undo().unwrap();
    let c = start("c", 0);
    b.undo().unwrap();
    c.undo().unwrap();
}

/// Does nothing unless the other test runs it, in a process of its own.
#[test]
fn child() {
    if let Some(dir) = env::var_os(DIR) {
        live(Path::new(&dir));
    }
}

/// Whether the child lived to its end.
fn run_child(dir: &Path, failpoint: &str) -> bool {
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", "engine::journal::crash_tests::child"])
        .env("FAULTD_FAILPOINT", failpoint)
        .env(DIR, dir)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success() || status.signal() == Some(9), "{status}");
    status.success()
}

#[test]
fn killed_at_any_write_everything_is_taken_back() {
    let mut writes = 0;
    for when in ["before", "after"] {
        for number in 1.. {
            let dir = tempfile::tempdir().unwrap();
            for name in ["a", "b", "c"] {
                fs::write(dir.path().join(name), "0").unwrap();
            }
            if run_child(dir.path(), &format!("journal:{number}:{when}")) {
                writes = number - 1;
                break;
            }
            Journal::open(dir.path()).unwrap();
            for name in ["a", "b", "c"] {
                let content = fs::read_to_string(dir.path().join(name)).unwrap();
                assert!(!content.contains('1'), "{name} after a kill {when} write {number}");
            }
            let (journal, report) = Journal::open(dir.path()).unwrap();
            assert_eq!((report.entries.len(), journal.pending()), (0, (0, 0)));
        }
    }
    // Two for each of three undos; one extension; three ends.
    assert_eq!(writes, 6 + 1 + 3);
}
