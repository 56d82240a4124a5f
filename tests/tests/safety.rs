//! Whatever dies, hangs or is stopped: traffic is normal again in time, and
//! everything is as it was.

use std::{
    iter,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use faultd_tests::{
    World, bpf,
    clock::{mono_ns, ms, to_ms},
    daemon::id,
    eventually,
    http::Http,
    process::{alive, signal},
    slow, slowly, stretched,
    traffic::Pinger,
    wire::{Pair, Way},
};
use nix::sys::signal::Signal;
use serde_json::json;

/// Each kind of effect: what the kernel takes back, what is undo-logged.
const FAULTS: [(Way, &str); 4] = [
    // Loopback IPv4 needs a sysctl, which is undo-logged.
    (Way::Lo4, "latency --ms 400"),
    (Way::Veth6, "latency --ms 400"),
    (Way::Veth4, "partition"),
    (Way::Lo6, "loss --percent 100"),
];

/// Longer than any test takes, in milliseconds.
const LONG: f64 = 600_000.0;

/// Waits for a UDP round trip as fast as without a fault; how long that took,
/// in milliseconds.
fn normal_after(pinger: &mut Pinger, limit_ms: f64) -> f64 {
    let start = mono_ns();
    loop {
        // Faster than any delay of these tests, however slow the machine is.
        let fast = slowly(Duration::from_millis(40)).min(Duration::from_millis(200));
        let took = pinger.ping_within(fast);
        let waited = to_ms(mono_ns() - start);
        if took.is_some_and(|t| t < ms(300.0)) {
            return waited;
        }
        assert!(waited < limit_ms, "traffic is not normal after {waited:.0} ms");
    }
}

/// Whether a fault is in force: no answer in a while, or a late one (a machine
/// that is busy looks at its time-outs late).
fn is_hit(pair: &mut Pair) -> bool {
    let limit = slowly(Duration::from_millis(100)).min(Duration::from_millis(300));
    pair.udp.ping_within(limit).is_none_or(|took| took >= ms(400.0))
}

fn inject(world: &World, pair: &Pair, fault: &str, ms: f64) {
    world.inject(&format!("{fault} --port {} --for {ms}ms", pair.ports()));
}

/// A conversation in a world of its own, and a fault that hits it for so long.
#[track_caller]
fn hit(way: Way, fault: &str, ms: f64) -> (World, Pair) {
    let world = way.world();
    let mut pair = way.pair(&world);
    inject(&world, &pair, fault, ms);
    assert!(is_hit(&mut pair), "{fault} does nothing");
    (world, pair)
}

/// SIGKILL promises a second; emulation stretches it.
fn one_second() -> f64 {
    1000.0 * slow()
}

#[test]
fn sigkill_of_the_daemon() {
    for (way, fault) in FAULTS {
        let (mut world, mut pair) = hit(way, fault, LONG);
        let guardian = world.guardian();
        world.take_daemon().kill();
        normal_after(&mut pair.udp, one_second());
        world.assert_clean_within(Duration::from_secs(1));
        eventually(Duration::from_secs(2), "the guardian goes when its work is done", || {
            !alive(guardian)
        });
        // Nothing is left for the next one to do, and it starts.
        world.restart();
        assert_eq!(world.get("/v1/health")["status"], "ok");
        assert_eq!(world.get("/v1/health")["active"], 0);
        pair.assert_normal();
    }
}

#[test]
fn sigkill_of_the_guardian() {
    for (way, fault) in FAULTS {
        let world = way.world();
        let mut pair = way.pair(&world);
        let time = stretched(1500.0);
        inject(&world, &pair, fault, time);
        let guardian = world.guardian();
        signal(guardian, Signal::SIGKILL);
        let started = mono_ns();
        assert!(is_hit(&mut pair), "{fault} ended with the guardian");
        normal_after(&mut pair.udp, time + one_second());
        assert!(to_ms(mono_ns() - started) < time + one_second());
        world.wait_idle(Duration::from_secs(2));
        world.assert_clean();
        eventually(Duration::from_secs(5), "there is a guardian again", || {
            let pid = world.get("/v1/health")["guardian_pid"].as_u64();
            pid.is_some_and(|p| p != u64::from(guardian))
        });
    }
}

#[test]
fn sigkill_of_both_and_a_restart() {
    for (way, fault) in FAULTS {
        let (mut world, mut pair) = hit(way, fault, LONG);
        world.take_daemon().kill_with_guardian();
        // Before TCX a filter outlives everybody who could remove it, but its
        // rules do not.
        normal_after(&mut pair.udp, one_second());
        world.restart();
        normal_after(&mut pair.udp, one_second());
        world.assert_clean();
        assert_eq!(world.get("/v1/health")["status"], "ok");
        pair.assert_normal();
    }
}

#[test]
fn sigkill_of_both_and_recover_by_hand() {
    let (mut world, mut pair) = hit(Way::Lo4, "latency --ms 400", LONG);
    world.take_daemon().kill_with_guardian();
    normal_after(&mut pair.udp, one_second());
    assert_eq!(world.home().recover().code, Some(0));
    world.assert_clean();
    // A second time there is nothing to do, which is no error.
    assert_eq!(world.home().recover().code, Some(0));
}

#[test]
fn sigstop_past_the_deadline() {
    for (way, fault) in FAULTS {
        let world = way.world();
        let mut pair = way.pair(&world);
        let time = stretched(1500.0);
        inject(&world, &pair, fault, time);
        let active = mono_ns();
        assert!(is_hit(&mut pair), "{fault} does nothing");
        world.signal(Signal::SIGSTOP);
        if !fault.starts_with("latency") && bpf::has_tcx() {
            // A delay cannot be kept up by a stopped daemon; a drop can, unless
            // it must not outlive a daemon that is killed (before TCX).
            thread::sleep(Duration::from_secs_f64(time / 2e3));
            assert!(is_hit(&mut pair), "{fault} ended before its time");
        }
        normal_after(&mut pair.udp, time + one_second());
        let late = to_ms(mono_ns() - active) - time;
        assert!(late < 300.0 * slow(), "{fault}: normal {late} ms after the deadline");
        thread::sleep(Duration::from_millis(300));
        pair.udp.series(10);
        world.signal(Signal::SIGCONT);
        world.wait_idle(Duration::from_secs(3));
        world.assert_clean();
        pair.assert_normal();
    }
}

#[test]
fn a_fault_does_not_pause_while_its_daemon_is_busy() {
    let world = World::new();
    let mut pair = Way::Lo4.pair(&world);
    inject(&world, &pair, "partition", LONG);
    let (stop, socket) = (AtomicBool::new(false), world.socket().to_owned());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut http = Http::connect(&socket).unwrap();
            let other = json!({"kind": "partition", "params": {}, "for": "60s",
                               "target": {"port": 9, "dev": ["lo"]}});
            while !stop.load(Ordering::Relaxed) {
                let made = http.request("POST", "/v1/faults", &other.to_string()).unwrap();
                assert_eq!(made.status, 201, "{made:?}");
                let gone = http.request("DELETE", &format!("/v1/faults/{}", id(&made.json())), "");
                assert_eq!(gone.unwrap().status, 200);
            }
        });
        let end = Instant::now() + Duration::from_secs(4);
        let mut pings = iter::repeat_with(|| pair.udp.ping_within(Duration::from_millis(5)));
        let passed = pings.find(|ping| ping.is_some() || Instant::now() > end);
        // Before any assertion: the other thread goes on until then.
        stop.store(true, Ordering::Relaxed);
        assert_eq!(passed, Some(None), "a datagram passed");
    });
}

#[test]
fn a_stopped_daemon_does_not_hold_what_it_promised_to_delay() {
    let (world, mut pair) = hit(Way::Lo6, "latency --ms 400", LONG);
    world.signal(Signal::SIGSTOP);
    normal_after(&mut pair.udp, 1300.0 + one_second());
    world.signal(Signal::SIGCONT);
    eventually(Duration::from_secs(3), "the delay is back", || is_hit(&mut pair));
}

#[test]
fn sigterm_reverts_everything_first() {
    for (way, fault) in FAULTS {
        let (mut world, mut pair) = hit(way, fault, LONG);
        let status = world.take_daemon().stop();
        assert!(status.success(), "{fault}: {status}");
        // Reverted before the exit, so at once.
        pair.udp.ping();
        world.assert_clean_within(Duration::from_secs(1));
        assert!(!world.home().socket().exists(), "the socket is left behind");
    }
}

/// Injects with the daemon set to die at one journal write.
///
/// Returns whether it died.
fn dies_at(write: usize, edge: &str) -> bool {
    let failpoint = format!("journal:{write}:{edge}");
    let mut world = World::without_daemon();
    let mut pair = Way::Lo4.pair(&world);
    let died = match world.home().try_start(&[("FAULTD_FAILPOINT", &failpoint)]) {
        // At a write of its start.
        Err(_) => true,
        Ok(mut daemon) => {
            let time = stretched(900.0);
            daemon.ctl(&format!("inject latency --ms 400 --port {} --for {time}ms", pair.ports()));
            // Or where the effect is taken back.
            let over = Duration::from_secs_f64(time / 1e3) + slowly(Duration::from_millis(700));
            let died = daemon.wait_exit(over).is_some();
            assert!(died || daemon.stop().success(), "{failpoint}");
            died
        }
    };
    if died {
        normal_after(&mut pair.udp, one_second());
        world.assert_clean_within(Duration::from_secs(2));
        world.restart();
        assert_eq!(world.get("/v1/health")["status"], "ok", "{failpoint}");
        pair.assert_normal();
    }
    died
}

fn death_at_each_journal_write(edge: &str) {
    let mut deaths = 0;
    while dies_at(deaths + 1, edge) {
        deaths += 1;
        assert!(deaths < 100, "the journal is written without end");
    }
    // One write before the effect and one after it was taken back, at least.
    assert!(deaths >= 2, "died at {deaths} writes only ({edge})");
}

#[test]
fn death_before_each_journal_write() {
    death_at_each_journal_write("before");
}

#[test]
fn death_after_each_journal_write() {
    death_at_each_journal_write("after");
}

#[test]
fn a_lost_lease_ends_the_fault() {
    let world = World::new();
    let mut pair = Way::Lo4.pair(&world);
    let lease = 700.0 * slow();
    let id = world.inject_id(&format!(
        "latency --ms 400 --port {} --for 600s --lease {lease:.0}ms",
        pair.ports()
    ));
    for _ in 0..4 {
        thread::sleep(Duration::from_secs_f64(lease / 3e3));
        world.ctl(&format!("confirm {id}")).ok();
    }
    assert!(is_hit(&mut pair), "the lease was confirmed, the fault ended");
    normal_after(&mut pair.udp, lease + one_second());
    world.wait_idle(Duration::from_secs(2));
    assert_eq!(world.show(&id)["end_reason"], "lease_lost");
    world.assert_clean();
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let world = World::new();
    let output = world.home().command().output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.lines().count() <= 3 && !text.contains("panicked"), "{text}");
    // The first one goes on.
    assert_eq!(world.get("/v1/health")["status"], "ok");
}

#[test]
fn recover_beside_a_living_daemon_is_refused() {
    let (world, mut pair) = hit(Way::Lo4, "latency --ms 400", LONG);
    let outcome = world.home().recover();
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    assert!(is_hit(&mut pair), "the undo of a living fault was replayed");
}

#[test]
fn a_vanished_interface_takes_only_its_faults_along() {
    let world = World::with_peer();
    let mut pair = Way::Lo4.pair(&world);
    let here = world.inject_id("latency --ms 30 --dev veth0 --for 60s");
    inject(&world, &pair, "latency --ms 30", LONG);
    faultd_tests::command::run("ip link delete veth0");
    pair.assert_added(30.0, 5);
    world.ctl(&format!("revert {here}")).ok();
    world.revert_all();
    pair.assert_normal();
    // The snapshot knows the veth pair: look at the rest by hand.
    let mut world = world;
    assert!(world.take_daemon().stop().success());
    world.forget_snapshot();
}

#[test]
fn snapshots_hold_in_an_untouched_world() {
    let world = World::with_peer();
    thread::sleep(Duration::from_millis(100));
    world.assert_untouched();
}
