//! Nothing idle costs anything.

use std::{thread, time::Duration};

use faultd_tests::{World, bpf, cgroup, process::usage, stretched};

/// How long it is watched.
const WATCH: Duration = Duration::from_secs(3);

fn both(world: &World) -> [(&'static str, u32); 2] {
    [("faultd", world.pid()), ("the guardian", world.guardian())]
}

fn sleeps(world: &World) {
    let processes = both(world);
    // The question for the guardian's pid was work.
    settle();
    let switches = || processes.map(|(_, pid)| usage(pid).map(|u| u.switches));
    let before = switches();
    assert!(before.iter().all(Option::is_some), "a process is gone");
    thread::sleep(WATCH);
    let after = switches();
    let names = processes.map(|(name, _)| name);
    assert_eq!(before, after, "context switches of {names:?} within {WATCH:?}");
}

fn nothing_attached(world: &World) {
    let (programs, links) = bpf::held_by(world.pid());
    assert!(links.is_empty(), "faultd holds links: {links:?}");
    if let Some(root) = cgroup::v2_mount() {
        for kind in
            [bpf::CGROUP_INET_INGRESS, bpf::CGROUP_INET_EGRESS, bpf::CGROUP_INET_SOCK_CREATE]
        {
            let attached = bpf::cgroup(&root, kind);
            let ours = attached.iter().find(|id| programs.contains(id));
            assert_eq!(ours, None, "a program is attached to the root group");
        }
    }
    world.assert_untouched();
}

/// Time for what a request leaves behind: a connection that is closed, memory
/// that is freed.
fn settle() {
    thread::sleep(Duration::from_millis(1500));
}

#[test]
fn a_fresh_daemon_sleeps() {
    let world = World::with_peer();
    nothing_attached(&world);
    sleeps(&world);
}

#[test]
fn it_sleeps_again_after_faults() {
    let world = World::with_peer();
    for fault in ["latency --ms 5 --port 9", "partition --port 9", "loss --percent 5 --port 9"] {
        world.inject(&format!("{fault} --for 60s"));
    }
    world.revert_all();
    let time = stretched(300.0);
    world.ctl(&format!("inject latency --ms 5 --port 9 --for {time}ms --wait")).ok();
    settle();
    world.assert_clean();
    nothing_attached(&world);
    sleeps(&world);
}

#[test]
fn it_stays_small() {
    let world = World::new();
    world.inject("latency --ms 5 --port 9 --for 60s");
    world.revert_all();
    settle();
    let usage = usage(world.pid()).unwrap();
    // The promise is for release builds, which the bench holds to it; pages of
    // an executable with debug assertions and without optimisation weigh more.
    let most = if cfg!(debug_assertions) { 28 } else { 20 } * 1024;
    assert!(usage.resident_kib < most, "faultd takes {} KiB", usage.resident_kib);
    assert!(usage.anonymous_kib < 8 * 1024, "of its own: {} KiB", usage.anonymous_kib);
}
