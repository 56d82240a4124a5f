//! `latency`: round trips rise by what was asked, once, and end in time.

use std::{thread, time::Duration};

use faultd_tests::{
    World,
    clock::{mono_ns, ms, to_ms},
    daemon::id,
    slow, slowly, stretched,
    traffic::{Pinger, TcpEcho, median},
    wire::{Way, assert_added},
};

/// Delays of the issue, each with a number of round trips to look at.
const DELAYS: [(f64, usize); 4] = [(1.0, 40), (10.0, 20), (50.0, 10), (500.0, 3)];

/// On one way, over both protocols: D in, D more; reverted, as before.
fn rises_by_what_was_asked(way: Way) {
    let world = way.world();
    let mut pair = way.pair(&world);
    for (delay, count) in DELAYS {
        let id =
            world.inject_id(&format!("latency --ms {delay} --port {} --for 120s", pair.ports()));
        pair.assert_added(delay, count);
        let counters = &world.show(&id)["counters"];
        // TCP acknowledges by itself now and then, so at least.
        assert!(counters["affected"].as_u64() >= Some(2 * count as u64), "{counters}");
        world.ctl(&format!("revert {id}")).ok();
        pair.assert_normal();
    }
    world.assert_clean();
}

#[test]
fn on_loopback_v4() {
    rises_by_what_was_asked(Way::Lo4);
}

#[test]
fn on_loopback_v6() {
    rises_by_what_was_asked(Way::Lo6);
}

#[test]
fn across_veth_v4() {
    rises_by_what_was_asked(Way::Veth4);
}

#[test]
fn across_veth_v6() {
    rises_by_what_was_asked(Way::Veth6);
}

#[test]
fn counts_once_per_round_trip_and_once_in_a_handshake() {
    for way in Way::ALL {
        let world = way.world();
        let server = way.at_server(&world, TcpEcho::bind);
        let delay = 100.0 * slow().min(5.0);
        world.inject(&format!("latency --ms {delay} --port {} --for 60s", server.port()));
        let start = mono_ns();
        let mut pinger = Pinger::tcp(server.address());
        let connected = to_ms(mono_ns() - start);
        let round_trip = to_ms(median(&pinger.series(5)));
        for (what, took) in [("connecting", connected), ("a round trip", round_trip)] {
            assert!(took >= delay, "{way:?}: {what} took {took} ms, asked for {delay}");
            assert!(took < 1.6 * delay, "{way:?}: {what} took {took} ms, asked for {delay} once");
        }
    }
}

#[test]
fn fractions_of_a_millisecond_count() {
    let world = World::new();
    let mut pair = Way::Lo4.pair(&world);
    world.inject(&format!("latency --ms 0.5 --port {} --for 60s", pair.ports()));
    pair.assert_added(0.5, 40);
}

#[test]
fn ends_by_itself_and_on_time() {
    for way in [Way::Lo4, Way::Veth6] {
        let world = way.world();
        let mut pair = way.pair(&world);
        // The time runs from the request, and the first fault of a daemon may have to wait for the
        // programs.
        world.inject("latency --ms 1 --port 9");
        world.revert_all();
        let time = stretched(1500.0);
        let fault =
            world.inject(&format!("latency --ms 40 --port {} --for {time}ms", pair.ports()));
        let active = fault["active_mono_ns"].as_u64().unwrap();
        let mut held_until = active;
        let mut normal_from = 0;
        while normal_from == 0 {
            let sent = mono_ns();
            let took = pair.udp.ping();
            if took >= ms(40.0) {
                held_until = sent;
            } else {
                normal_from = sent;
            }
            assert!(sent - active < ms(time + 2000.0 * slow()), "{way:?}: still delayed");
        }
        assert!(held_until >= active + ms(time - 200.0 * slow()), "{way:?}: ended early");
        assert!(normal_from <= active + ms(time + 150.0 * slow()), "{way:?}: ended late");
        world.wait_idle(Duration::from_secs(2));
        let ended = world.show(&id(&fault));
        assert_eq!((&ended["state"], &ended["end_reason"]), (&"ended".into(), &"expired".into()));
        let lasted = to_ms(ended["ended_mono_ns"].as_u64().unwrap() - active);
        assert!((lasted - time).abs() < 200.0 * slow(), "{way:?}: {lasted} ms by the stamps");
        world.assert_clean();
    }
}

#[test]
fn two_add_up() {
    for way in [Way::Lo6, Way::Veth4] {
        let world = way.world();
        let mut pair = way.pair(&world);
        let first = world.inject_id(&format!("latency --ms 20 --port {}", pair.ports()));
        // The same packets through another dimension of the rule table.
        let network = if way == Way::Lo6 { "::1/128" } else { "10.77.0.0/24" };
        world.inject(&format!("latency --ms 30 --remote {network}"));
        let expected = if way == Way::Lo6 { 20.0 + 2.0 * 30.0 } else { 50.0 };
        pair.assert_added(expected, 8);
        world.ctl(&format!("revert {first}")).ok();
        pair.assert_added(expected - 20.0, 8);
    }
}

#[test]
fn what_is_held_goes_on_when_reverted() {
    let world = World::new();
    let mut pair = Way::Lo4.pair(&world);
    world.inject(&format!("latency --ms 20000 --port {} --for 60s", pair.ports()));
    let socket = world.socket().to_owned();
    let reverting = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        faultd_tests::ctl::run(&socket, "revert --all").ok();
    });
    let took = pair.udp.ping_within(Duration::from_secs(10)).expect("the held packet comes");
    assert!(took >= ms(300.0), "it was not held: {} ms", to_ms(took));
    assert!(took <= ms(800.0 + 500.0 * slow()), "released late: {} ms", to_ms(took));
    reverting.join().unwrap();
    pair.assert_normal();
}

#[test]
fn ingress_and_both() {
    for way in [Way::Veth4, Way::Veth6] {
        let world = way.world();
        let mut pair = way.pair(&world);
        for (direction, added) in [("ingress", 20.0), ("egress", 20.0), ("both", 40.0)] {
            let fault = format!(
                "latency --ms 20 --direction {direction} --dev {} --port {}",
                way.dev(),
                pair.ports()
            );
            let id = world.inject_id(&fault);
            pair.assert_added(added, 8);
            world.ctl(&format!("revert {id}")).ok();
            pair.assert_normal();
        }
    }
}

#[test]
fn directions_on_loopback() {
    let world = World::new();
    let mut pair = Way::Lo4.pair(&world);
    for (direction, added) in [("ingress", 20.0), ("egress", 20.0), ("both", 40.0)] {
        let id = world
            .inject_id(&format!("latency --ms 20 --direction {direction} --port {}", pair.ports()));
        pair.assert_added(added, 8);
        world.ctl(&format!("revert {id}")).ok();
    }
}

#[test]
fn local_and_remote_ports_are_told_apart() {
    let world = World::with_peer();
    let mut pair = Way::Veth4.pair(&world);
    let ports = pair.ports();
    for (option, added) in [("--remote-port", 20.0), ("--local-port", 0.0)] {
        let id = world.inject_id(&format!("latency --ms 20 {option} {ports} --dev veth0"));
        pair.assert_added(added, 8);
        world.ctl(&format!("revert {id}")).ok();
    }
    let local = pair.udp.local().port();
    world.inject(&format!("latency --ms 20 --local-port {local} --dev veth0"));
    assert_added("UDP", &pair.udp.series(8), pair.normal, 20.0);
    assert_added("TCP", &pair.tcp.series(8), pair.normal, 0.0);
}

#[test]
fn exceptions_are_left_alone() {
    let world = World::with_peer();
    let mut pair = Way::Veth4.pair(&world);
    let (tcp, udp) = (pair.tcp_address().port(), pair.udp_address().port());
    let id = world.inject_id(&format!("latency --ms 20 --dev veth0 --except-port {tcp}"));
    assert_added("UDP", &pair.udp.series(8), pair.normal, 20.0);
    assert_added("TCP", &pair.tcp.series(8), pair.normal, 0.0);
    world.ctl(&format!("revert {id}")).ok();
    world.inject(&format!("latency --ms 20 --port {udp} --except-remote 10.77.0.0/28"));
    pair.assert_normal();
}

#[test]
fn a_protocol_narrows() {
    let world = World::new();
    let mut pair = Way::Lo4.pair(&world);
    let id = world.inject_id(&format!("latency --ms 20 --proto udp --port {}", pair.ports()));
    assert_added("UDP", &pair.udp.series(8), pair.normal, 20.0);
    assert_added("TCP", &pair.tcp.series(8), pair.normal, 0.0);
    world.ctl(&format!("revert {id}")).ok();
    world.inject(&format!("latency --ms 20 --proto tcp --port {}", pair.ports()));
    assert_added("UDP", &pair.udp.series(8), pair.normal, 0.0);
    assert_added("TCP", &pair.tcp.series(8), pair.normal, 20.0);
}

#[test]
fn a_dry_run_changes_nothing() {
    let world = World::new();
    let mut pair = Way::Lo4.pair(&world);
    let line = format!("inject latency --ms 300 --port {} --for 60s --dry-run", pair.ports());
    let text = world.ctl(&line).ok();
    let plan = world.ctl(&format!("--json {line}")).json();
    world.assert_untouched();
    pair.assert_normal();
    assert_eq!(world.get("/v1/faults?all=true")["faults"].as_array().unwrap().len(), 0);
    let backend = plan["backend"].as_str().unwrap();
    assert!(text.contains(backend), "{text}");
    assert!(!plan["steps"].as_array().unwrap().is_empty(), "{plan}");
    // The open connections show up as what would be hit.
    let sockets = plan["hits"]["sockets"].as_array().unwrap();
    let server = pair.tcp_address().to_string();
    assert!(sockets.iter().any(|s| s["local"] == *server && s["state"] == "ESTAB"), "{plan}");
}

#[test]
fn wait_returns_when_it_has_ended() {
    let world = World::new();
    let start = mono_ns();
    let time = stretched(700.0);
    let line = format!("--json inject latency --ms 5 --port 9 --for {time}ms --wait");
    let fault = world.ctl(&line).json();
    let took = to_ms(mono_ns() - start);
    assert_eq!(fault["state"], "ended", "{fault}");
    assert!((time..time + 800.0 * slow()).contains(&took), "{took} ms");
}

#[test]
fn large_messages_survive_the_delay() {
    use std::{
        io::{Read, Write},
        net::TcpStream,
    };
    for way in Way::ALL {
        let world = way.world();
        let server = way.at_server(&world, TcpEcho::bind);
        let mut stream = TcpStream::connect(server.address()).unwrap();
        world.inject(&format!("latency --ms 5 --port {} --for 120s", server.port()));
        // More than a GSO frame, and with a pattern that shows a swap.
        let sent: Vec<u8> = (0..400_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut writer = stream.try_clone().unwrap();
        let copy = sent.clone();
        let writing = thread::spawn(move || writer.write_all(&copy).unwrap());
        let mut got = vec![0; sent.len()];
        stream.set_read_timeout(Some(slowly(Duration::from_secs(20)))).unwrap();
        stream.read_exact(&mut got).unwrap();
        writing.join().unwrap();
        assert!(got == sent, "{way:?}: what came back differs");
    }
}

#[test]
fn a_namespace_is_named_by_a_process_in_it() {
    let world = World::with_peer();
    let mut pair = Way::Veth4.pair(&world);
    let mut sleeper =
        world.peer().run(|| std::process::Command::new("sleep").arg("60").spawn().unwrap());
    let id = world.inject_id(&format!(
        "latency --ms 20 --netns {} --local-port {}",
        sleeper.id(),
        pair.ports()
    ));
    // The server's end delays its answers; this end has no rule.
    pair.assert_added(20.0, 8);
    world.ctl(&format!("revert {id}")).ok();
    pair.assert_normal();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    world.assert_clean();
}

#[test]
fn it_is_taken_back_in_no_time() {
    let world = World::new();
    // The best of some: the delay line's device goes by the kernel's leave.
    let best = (0..5).map(|_| {
        let id = world.inject_id("latency --ms 5 --port 9 --for 60s");
        let start = mono_ns();
        world.ctl(&format!("revert {id}")).ok();
        let took = to_ms(mono_ns() - start);
        world.assert_untouched();
        let ended = world.show(&id)["ended_mono_ns"].as_u64().unwrap();
        assert!((start..mono_ns()).contains(&ended));
        took
    });
    let best = best.fold(f64::INFINITY, f64::min);
    assert!(best < 60.0 * slow(), "reverting took {best} ms");
}
