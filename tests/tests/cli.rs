//! `faultctl` as people and scripts use it.

use std::process::Stdio;

use faultd_tests::{World, ctl::faultctl, stretched};
use serde_json::Value;

#[test]
fn inject_says_what_it_did_and_how_to_take_it_back() {
    let world = World::new();
    let text = world.ctl("inject latency --ms 25 --port 8080 --for 45s").ok();
    let id = text.split_whitespace().find(|w| w.starts_with("f-")).unwrap().to_owned();
    let fault = world.show(&id);
    for part in ["8080", fault["backend"].as_str().unwrap()] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    // The line it prints works as it stands.
    let line = text.lines().find(|l| l.contains("faultctl") && l.contains("revert")).unwrap();
    let words: Vec<&str> = line.split_whitespace().skip_while(|w| *w != "faultctl").collect();
    let mut command = std::process::Command::new(faultctl(world.socket()).get_program());
    assert!(command.args(&words[1..]).output().unwrap().status.success(), "{line}");
    assert_eq!(world.show(&id)["end_reason"], "reverted");
}

#[test]
fn json_is_one_document_everywhere() {
    let world = World::new();
    let id = world.inject_id("loss --percent 10 --port 9 --for 60s");
    for line in [
        "list",
        "list --all",
        &format!("show {id}"),
        "explain --port 9",
        "doctor",
        "doctor latency",
        "catalog",
        "catalog loss",
        "version",
        "inject partition --port 9 --dry-run",
        &format!("revert {id}"),
        "revert --all",
    ] {
        let outcome = world.ctl(&format!("--json {line}"));
        assert_eq!(outcome.stderr, "", "{line}");
        outcome.json();
    }
}

#[test]
fn events_and_watch_print_a_line_each() {
    let world = World::new();
    let id = world.inject_id(&format!("partition --port 9 --for {}ms", stretched(1000.0)));
    let watched = world.ctl(&format!("--json watch {id}")).ok();
    for line in watched.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    let last: Value = serde_json::from_str(watched.lines().last().unwrap()).unwrap();
    assert!(last.to_string().contains("ended"), "{last}");
    let events = world.ctl("--json events").ok();
    let kinds: Vec<Value> = events
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["event"].clone())
        .collect();
    assert_eq!(kinds, ["planned", "active", "ended"]);
}

#[test]
fn human_output_has_no_colours_in_a_pipe() {
    let world = World::new();
    world.inject("partition --port 9 --for 60s --label my-label");
    for line in ["list", "doctor", "catalog", "catalog latency", "explain --port 9", "version"] {
        let text = world.ctl(line).ok();
        assert!(!text.is_empty(), "{line} prints nothing");
        assert!(!text.contains('\u{1b}'), "{line} prints escape sequences");
    }
    assert!(world.ctl("list").ok().contains("my-label"));
    world.revert_all();
}

#[test]
fn a_closed_pipe_is_no_error() {
    let world = World::new();
    let mut command = faultctl(world.socket());
    let mut child = command.arg("catalog").stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn revert_all_reverts_all() {
    let world = World::new();
    for port in 1..=5 {
        world.inject(&format!("partition --port {port} --for 60s"));
    }
    world.ctl("revert --all").ok();
    assert_eq!(world.get("/v1/faults")["faults"].as_array().map(Vec::len), Some(0));
    world.assert_clean();
    // With nothing to do it is content as well.
    world.ctl("revert --all").ok();
}

#[test]
fn several_reverts_report_the_one_that_is_not_there() {
    let world = World::new();
    let id = world.inject_id("partition --port 9 --for 60s");
    let outcome = world.ctl(&format!("revert {id} f-zzzzzz"));
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    assert_eq!(world.show(&id)["state"], "ended", "the other one is reverted all the same");
}

#[test]
fn interrupting_a_wait_reverts() {
    let world = World::new();
    let mut command = faultctl(world.socket());
    let mut child = command
        .args(["inject", "partition", "--port", "9", "--for", "60s", "--wait"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    faultd_tests::eventually(std::time::Duration::from_secs(5), "the fault is active", || {
        world.get("/v1/health")["active"] == 1
    });
    faultd_tests::process::signal(child.id(), nix::sys::signal::Signal::SIGINT);
    child.wait().unwrap();
    world.wait_idle(std::time::Duration::from_secs(2));
}

#[test]
fn completions_and_man_pages_need_no_daemon() {
    let home = faultd_tests::daemon::Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let text = faultd_tests::ctl::run(&home.socket(), &format!("completions {shell}")).ok();
        assert!(text.contains("faultctl"), "{shell}");
    }
    let dir = tempfile::TempDir::with_prefix("faultd-test-man-").unwrap();
    let line = format!("man {}", dir.path().display());
    faultd_tests::ctl::run(&home.socket(), &line).ok();
    assert!(std::fs::read_dir(dir.path()).unwrap().count() > 5);
}
