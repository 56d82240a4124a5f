//! The backends that need a queue of the kernel's: edt (`fq`) and netem.

use std::time::Duration;

use faultd_tests::{
    Netns, World,
    command::{run, succeeds},
    daemon::Home,
    slow, slowly, stretched, vm_only,
    wire::{Pair, Way},
};
use nix::sys::signal::Signal;

/// Whether this kernel has a queueing discipline, by trying.
fn has(qdisc: &str) -> bool {
    let _here = Netns::enter();
    succeeds(&format!("tc qdisc add dev lo root {qdisc}"))
}

/// A veth world whose near end has `fq` as its root already, as a host with
/// `net.core.default_qdisc = fq` would.
fn with_fq() -> World {
    World::prepared(true, Home::new(), &[], |_, _| {
        run("tc qdisc replace dev veth0 root fq");
    })
}

fn delayed(world: &World, pair: &mut Pair, backend: &str, options: &str) {
    for (delay, count) in [(1.0, 30), (10.0, 15), (50.0, 8), (500.0, 3)] {
        let fault = world.inject(&format!(
            "latency --ms {delay} --backend {backend} --port {} {options} --for 120s",
            pair.ports()
        ));
        assert_eq!(fault["backend"], backend);
        pair.assert_added(delay, count);
        world.ctl(&format!("revert {}", faultd_tests::daemon::id(&fault))).ok();
        pair.assert_normal();
    }
    world.assert_clean();
}

#[test]
fn edt_where_fq_is_the_root() {
    if !has("fq") {
        vm_only!("this kernel has no fq");
    }
    for way in [Way::Veth4, Way::Veth6] {
        let world = with_fq();
        let mut pair = way.pair(&world);
        delayed(&world, &mut pair, "edt", "--dev veth0");
    }
}

#[test]
fn edt_is_preferred_where_it_is_free() {
    if !has("fq") {
        vm_only!("this kernel has no fq");
    }
    let world = with_fq();
    let mut pair = Way::Veth4.pair(&world);
    let fault =
        world.inject(&format!("latency --ms 30 --dev veth0 --port {} --for 60s", pair.ports()));
    assert_eq!(fault["backend"], "edt", "{fault}");
    pair.assert_added(30.0, 8);
}

#[test]
fn netem_when_asked_for() {
    if !has("netem delay 1ms") {
        vm_only!("this kernel has no netem");
    }
    for way in Way::ALL {
        let world = way.world();
        let mut pair = way.pair(&world);
        delayed(&world, &mut pair, "netem", &format!("--dev {}", way.dev()));
    }
}

#[test]
fn two_netem_faults_on_one_device() {
    if !has("netem delay 1ms") {
        vm_only!("this kernel has no netem");
    }
    let world = World::with_peer();
    let mut pair = Way::Veth4.pair(&world);
    let (tcp, udp) = (pair.tcp_address().port(), pair.udp_address().port());
    let first = world
        .inject_id(&format!("latency --ms 20 --backend netem --dev veth0 --port {tcp} --for 60s"));
    world.inject(&format!("latency --ms 60 --backend netem --dev veth0 --port {udp} --for 60s"));
    let normal = pair.normal;
    faultd_tests::wire::assert_added("TCP", &pair.tcp.series(8), normal, 20.0);
    faultd_tests::wire::assert_added("UDP", &pair.udp.series(8), normal, 60.0);
    world.ctl(&format!("revert {first}")).ok();
    faultd_tests::wire::assert_added("TCP", &pair.tcp.series(8), normal, 0.0);
    faultd_tests::wire::assert_added("UDP", &pair.udp.series(8), normal, 60.0);
}

/// The daemon dies with a root qdisc in place: the guardian puts the old one back.
fn survives_sigkill(backend: &str, world: World) {
    let mut world = world;
    let mut pair = Way::Veth4.pair(&world);
    world.inject(&format!(
        "latency --ms 400 --backend {backend} --dev veth0 --port {} --for 120s",
        pair.ports()
    ));
    pair.assert_added(400.0, 2);
    let start = faultd_tests::clock::mono_ns();
    world.take_daemon().kill();
    let limit = slowly(Duration::from_millis(40)).min(Duration::from_millis(300));
    let second = faultd_tests::clock::ms(1000.0 * slow());
    while pair.udp.ping_within(limit).is_none() {
        let waited = faultd_tests::clock::mono_ns() - start;
        assert!(waited < second, "{backend}: traffic is still delayed");
    }
    world.assert_clean_within(Duration::from_secs(2));
    world.restart();
    pair.assert_normal();
}

#[test]
fn netem_goes_with_the_daemon() {
    if !has("netem delay 1ms") {
        vm_only!("this kernel has no netem");
    }
    survives_sigkill("netem", World::with_peer());
}

#[test]
fn edt_goes_with_the_daemon() {
    if !has("fq") {
        vm_only!("this kernel has no fq");
    }
    survives_sigkill("edt", with_fq());
}

#[test]
fn netem_ends_at_the_deadline_of_a_stopped_daemon() {
    if !has("netem delay 1ms") {
        vm_only!("this kernel has no netem");
    }
    let world = World::with_peer();
    let mut pair = Way::Veth4.pair(&world);
    let time = stretched(1500.0);
    world.inject(&format!(
        "latency --ms 400 --backend netem --dev veth0 --port {} --for {time}ms",
        pair.ports()
    ));
    world.signal(Signal::SIGSTOP);
    pair.assert_added(400.0, 1);
    // Past the deadline, and a while for the guardian.
    std::thread::sleep(Duration::from_secs_f64(time / 1e3) + slowly(Duration::from_millis(200)));
    pair.assert_normal();
    // The guardian has undone it, although the daemon stands still.
    let root = run("tc qdisc show dev veth0");
    assert!(!root.contains("netem"), "{root}");
    world.signal(Signal::SIGCONT);
    world.wait_idle(Duration::from_secs(3));
}

#[test]
fn a_backend_that_is_not_there_is_refused_with_the_reason() {
    let world = World::with_peer();
    for (backend, qdisc) in [("netem", "netem delay 1ms"), ("edt", "fq")] {
        if has(qdisc) {
            continue;
        }
        let outcome = world.ctl(&format!("inject latency --ms 5 --backend {backend} --dev veth0"));
        outcome.refused(5, &[backend]);
    }
    world.assert_untouched();
}
