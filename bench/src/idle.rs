//! What faultd costs while it does nothing.

use std::{thread, time::Duration};

use faultd_tests::{World, process::usage};

use crate::report::Idle;

/// How long it is watched, in seconds.
const WATCH: u64 = 5;

/// Daemon and guardian together, after a fault has come and gone.
pub fn measure() -> Idle {
    eprintln!("idle …");
    let world = World::with_peer();
    world.inject("latency --ms 5 --port 9 --for 60s");
    world.revert_all();
    let pids = [world.pid(), world.guardian()];
    thread::sleep(Duration::from_secs(2));
    let look = || pids.map(|pid| usage(pid).expect("a living process"));
    let before = look();
    thread::sleep(Duration::from_secs(WATCH));
    let after = look();
    let switches = |of: [faultd_tests::process::Usage; 2]| of.iter().map(|u| u.switches).sum();
    let sum: fn(u64, u64) -> u64 = |a, b| a - b;
    Idle {
        daemon_kib: after[0].resident_kib,
        guardian_kib: after[1].resident_kib,
        wakeups: sum(switches(after), switches(before)),
        seconds: WATCH,
    }
}
