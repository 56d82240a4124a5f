//! What a dead daemon left is found by `doctor` and by `faultd recover`, which
//! also say how to remove it.

use faultd_tests::{World, command::run, daemon::Home, vm_only};
use serde_json::Value;

/// Of what `doctor` lists, that which is on a device.
fn left_on(world: &World, device: &str) -> Vec<Value> {
    let found = world.ctl("--json doctor").json();
    let all = found["capabilities"]["left_behind"].as_array().cloned().unwrap_or_default();
    let is_there = |thing: &Value| thing["what"].as_str().unwrap_or_default().contains(device);
    all.into_iter().filter(is_there).collect()
}

#[test]
fn a_queue_that_no_journal_names_is_shown_with_the_command_that_removes_it() {
    let mut world = World::without_daemon();
    run("ip link add fdleft0 type veth peer name fdleft1");
    world.forget_snapshot();
    world.restart();
    assert!(left_on(&world, "fdleft0").is_empty());
    // The handle that faultd gives to its root qdiscs, and nobody else.
    run("tc qdisc add dev fdleft0 root handle fa17: pfifo");
    let found = left_on(&world, "fdleft0");
    assert_eq!(found.len(), 1, "{found:?}");
    let remove = found[0]["remove"].as_str().unwrap().to_owned();
    let text = world.ctl("doctor").ok();
    assert!(text.contains("LEFT BY A DEAD DAEMON") && text.contains(&remove), "{text}");
    // `faultd recover` knows no more than that, and says as much.
    let recovered = Home::new().recover();
    assert!(recovered.stderr.contains(&remove), "{recovered:?}");
    run(&remove);
    assert!(left_on(&world, "fdleft0").is_empty());
    world.assert_clean();
    run("ip link delete fdleft0");
    world.forget_snapshot();
}

#[test]
fn what_a_living_daemon_has_in_its_journal_is_not_left() {
    let world = World::with_peer();
    let other = Home::new();
    let daemon = other.start();
    let line = "--json inject latency --ms 5 --dev veth0 --backend edt --for 60s";
    let outcome = daemon.ctl(line);
    if outcome.code == Some(5) {
        assert!(daemon.stop().success());
        vm_only!("no effect that outlives its daemon here: {}", outcome.stderr);
    }
    outcome.ok();
    assert!(left_on(&world, "veth0").is_empty(), "it is in use");
    // Both gone, and nobody to take it back.
    daemon.kill_with_guardian();
    faultd_tests::eventually(std::time::Duration::from_secs(5), "it is seen as left", || {
        !left_on(&world, "veth0").is_empty()
    });
    other.recover().ok();
    assert!(left_on(&world, "veth0").is_empty());
}
