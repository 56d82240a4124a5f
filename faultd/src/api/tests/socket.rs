//! The socket's file.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

use crate::api::{ListenError, Listener};

#[test]
fn is_for_owner_and_group_and_goes_with_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/for/it/faultd.sock");
    let listener = Listener::bind(&path, Some(nix::unistd::getegid().as_raw())).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_live_one_is_respected_and_a_stale_one_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("faultd.sock");
    let live = UnixListener::bind(&path).unwrap();
    let error = Listener::bind(&path, None).unwrap_err();
    assert!(matches!(error, ListenError::InUse(_)), "{error}");
    assert!(path.exists());
    drop(live);
    Listener::bind(&path, None).unwrap();
}

#[test]
fn other_files_are_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("precious");
    fs::write(&path, "data").unwrap();
    let error = Listener::bind(&path, None).unwrap_err();
    assert!(matches!(error, ListenError::NotASocket(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "data");
}
