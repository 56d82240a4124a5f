//! `faultd recover` and `faultd check-config`, as commands.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use faultd::{
    engine::{journal::Journal, state_dir::StateDir},
    host::undo::Undo,
};

fn faultd(args: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(faultd_tests::ctl::binary("FAULTD_BIN", "faultd"));
    command.args(args).arg("--state-dir").arg(dir).output().unwrap()
}

fn undo(path: &Path) -> Undo {
    Undo::WriteFile { path: path.to_str().unwrap().into(), content: "0".into() }
}

#[test]
fn takes_back_what_a_dead_daemon_left_and_says_what() {
    let dir = tempfile::tempdir().unwrap();
    let effect = dir.path().join("effect");
    fs::write(&effect, "1").unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let _ticket = journal.record("f-abcdef", u64::MAX, undo(&effect)).unwrap();
    drop(journal);

    let output = faultd(&["recover"], dir.path());
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("f-abcdef: undone: "));
    assert_eq!(fs::read_to_string(effect).unwrap(), "0");
    let output = faultd(&["recover"], dir.path());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "nothing to undo\n");
}

#[test]
fn refuses_while_a_daemon_runs() {
    let dir = tempfile::tempdir().unwrap();
    let _daemon = StateDir::claim(dir.path()).unwrap();
    let output = faultd(&["recover"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("is running on") && message.lines().count() == 1, "{message}");
}

#[test]
fn fails_when_something_remains() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let _ticket = journal.record("f-abcdef", u64::MAX, undo(dir.path())).unwrap();
    drop(journal);
    let output = faultd(&["recover"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("f-abcdef: NOT undone: "));
}

#[test]
fn has_nothing_to_do_where_no_daemon_ever_ran() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("missing")] {
        let output = faultd(&["recover"], &path);
        assert!(output.status.success(), "{output:?}");
    }
    assert!(!dir.path().join("missing").exists());
}

#[test]
fn check_config_tells_where_a_mistake_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let check = || {
        let mut command = Command::new(faultd_tests::ctl::binary("FAULTD_BIN", "faultd"));
        command.args(["check-config", "--config"]).arg(&file).output().unwrap()
    };
    fs::write(&file, "[limits]\nmax_active = 5\n").unwrap();
    assert!(check().status.success());
    fs::write(&file, "[limits]\nmax_aktive = 5\n").unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("line 2") && message.contains("max_aktive"), "{message}");
}
