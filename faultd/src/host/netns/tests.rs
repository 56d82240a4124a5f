use std::{sync::mpsc, time::Duration};

use nix::sched::unshare;

use super::*;
use crate::host::test_support::{private_netns, skipped};

#[test]
fn the_current_namespace_is_current() {
    let own = Netns::current().unwrap();
    assert!(own.is_current());
    assert_eq!(own, Netns::of_pid(std::process::id()).unwrap());
    let before = thread::current().id();
    assert_eq!(own.run(|| thread::current().id()).unwrap(), before, "ran on another thread");
}

#[test]
fn an_unknown_name_lists_what_was_tried() {
    let error = Netns::open("no-such-netns").unwrap_err().to_string();
    assert!(error.contains("/run/netns/no-such-netns"), "{error}");
    let error = Netns::open("4000000").unwrap_err().to_string();
    assert!(error.contains("/run/netns/4000000") && error.contains("/proc/4000000"), "{error}");
    assert!(Netns::open("../../proc/1/ns/net").is_err());
    assert!(Netns::open("").is_err());
}

#[test]
fn other_namespaces_and_files_are_refused() {
    for path in ["/proc/self/ns/uts", "/proc/self/stat"] {
        assert!(matches!(Netns::at(Path::new(path)), Err(NetnsError::NotANamespace(_))), "{path}");
    }
}

#[test]
fn code_runs_inside_and_the_caller_stays_outside() {
    let Some(inside) = private_netns() else { return skipped("needs root") };
    let own = Netns::current().unwrap();
    assert_ne!(own, inside);
    assert_ne!(own.cookie(), inside.cookie());
    let seen = inside.run(|| Netns::current().unwrap().ino()).unwrap();
    assert_eq!(seen, inside.ino());
    assert!(own.is_current());
}

#[test]
fn without_a_thread_the_caller_goes_and_comes_back() {
    let Some(inside) = private_netns() else { return skipped("needs root") };
    let own = Netns::current().unwrap();
    assert_eq!(inside.visit(|| Netns::current().unwrap().ino()).unwrap(), inside.ino());
    assert!(own.is_current());
    let panic = std::panic::catch_unwind(|| inside.visit(|| resume_unwind(Box::new("on purpose"))));
    assert!(panic.is_err());
    assert!(own.is_current());
}

#[test]
fn a_spawned_thread_lives_inside() {
    let Some(inside) = private_netns() else { return skipped("needs root") };
    let (tx, rx) = mpsc::channel();
    let thread = inside.spawn("probe", move || tx.send(Netns::current().unwrap().ino()).unwrap());
    assert_eq!(rx.recv_timeout(Duration::from_secs(5)).unwrap(), inside.ino());
    thread.unwrap().join().unwrap();
}

#[test]
fn a_reference_finds_the_namespace_until_it_is_gone() {
    let Some(inside) = private_netns() else { return skipped("needs root") };
    let reference = inside.reference();
    let json = serde_json::to_string(&reference).unwrap();
    let reference: NetnsRef = serde_json::from_str(&json).unwrap();
    // Only a descriptor of this process holds it: the last resort.
    assert_eq!(reference.open().unwrap(), inside);

    let imposter = NetnsRef { cookie: reference.cookie.map(|c| c + 1), ..reference.clone() };
    if reference.cookie.is_some() {
        assert!(imposter.open().is_none(), "a reused inode number was taken");
    }
    drop(inside);
    assert!(reference.open().is_none());
}

#[test]
fn a_reference_finds_the_namespace_of_a_lone_thread() {
    let Some(keeper) = private_netns() else { return skipped("needs root") };
    let (done, wait) = mpsc::channel::<()>();
    let thread = keeper
        .spawn("keeper", move || {
            let _ = wait.recv();
        })
        .unwrap();
    let reference = keeper.reference();
    let ino = keeper.ino();
    drop(keeper);
    assert_eq!(reference.open().unwrap().ino(), ino);
    done.send(()).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_thread_that_left_is_found_by_its_own_namespace() {
    let result = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).ok()?;
        let own = Netns::current().unwrap();
        assert!(own.is_current());
        assert_ne!(own, Netns::of_pid(std::process::id()).unwrap());
        Some(())
    })
    .join()
    .unwrap();
    if result.is_none() {
        skipped("needs root");
    }
}
