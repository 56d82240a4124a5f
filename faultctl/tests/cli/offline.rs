//! What works, and how it fails, without a daemon.

use std::{fs, os::unix::net::UnixListener, thread};

use serde_json::Value;

use crate::fake::{Fake, faultctl, ran};

#[test]
fn no_daemon_is_exit_code_3_and_advice() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("x.sock");
    let path = socket.to_str().unwrap();
    let list = || ran(faultctl(&["--socket", path, "list"]).spawn().unwrap());
    let absent = list();
    let expected = format!(
        "error: faultd is not reachable at {path}: there is no such socket; start it \
         (`systemctl start faultd`) or name another socket with --socket\n"
    );
    assert_eq!((absent.code, absent.stderr), (Some(3), expected));

    drop(UnixListener::bind(&socket).unwrap());
    let dead = list();
    assert_eq!(dead.code, Some(3));
    assert!(dead.stderr.contains("exists but nothing listens on it"), "{}", dead.stderr);

    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "").unwrap();
    let other = list();
    assert_eq!(other.code, Some(3));
    assert!(other.stderr.contains("that is no socket"), "{}", other.stderr);
}

#[test]
fn a_daemon_that_dies_meanwhile_is_not_reachable() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("x.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let dying = thread::spawn(move || drop(listener.accept().unwrap()));
    let ran = ran(faultctl(&["--socket", socket.to_str().unwrap(), "list"]).spawn().unwrap());
    dying.join().unwrap();
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("the connection closed before the answer came"), "{}", ran.stderr);
}

#[test]
fn another_service_is_told_apart() {
    let fake = Fake::new().on_text("GET /v1/faults", 502, "<html>");
    let ran = fake.run(&["list"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is another service listening on"), "{}", ran.stderr);
    let fake = Fake::new().on_text("GET /v1/faults", 200, "{}");
    let ran = fake.run(&["list"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("missing field `faults`"), "{}", ran.stderr);
}

#[test]
fn doctor_and_version_tell_what_they_can() {
    let doctor = ran(faultctl(&["--socket", "/nonexistent", "doctor"]).spawn().unwrap());
    assert_eq!(doctor.code, Some(3));
    assert!(doctor.stdout.contains("\nkernel "), "{}", doctor.stdout);
    assert!(doctor.stderr.starts_with("error: faultd is not reachable at /nonexistent"));
    let json = ran(faultctl(&["--socket", "/nonexistent", "--json", "doctor"]).spawn().unwrap());
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, document["reachable"].as_bool()), (Some(3), Some(false)));
    let version = ran(faultctl(&["--socket", "/nonexistent", "version"]).spawn().unwrap());
    assert_eq!(version.code, Some(3));
    assert!(version.stdout.starts_with(concat!("faultctl ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for args in [["catalog", "latency"], ["completions", "bash"], ["inject", "--help"]] {
        let mut child = faultctl(&args).spawn().unwrap();
        drop(child.stdout.take());
        let ran = ran(child);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_message_that_nobody_reads_changes_nothing() {
    for (args, code) in [(&["lst"][..], 2), (&[], 2), (&["--socket", "/nonexistent", "list"], 3)] {
        let mut child = faultctl(args).spawn().unwrap();
        drop(child.stderr.take());
        assert_eq!(ran(child).code, Some(code), "{args:?}");
    }
}

#[test]
fn catalog_describes_every_kind() {
    let table = ran(faultctl(&["catalog"]).spawn().unwrap()).stdout;
    for (line, kind) in table.lines().skip(1).zip(["latency", "loss", "partition"]) {
        assert!(line.starts_with(kind) && line.contains(&format!("faultctl inject {kind}")));
    }
    let page = ran(faultctl(&["catalog", "loss"]).spawn().unwrap()).stdout;
    assert!(page.starts_with("LOSS\n"), "{page}");
    let json = ran(faultctl(&["--json", "catalog", "loss"]).spawn().unwrap()).stdout;
    let document: Value = serde_json::from_str(&json).unwrap();
    assert!(document["params"]["properties"]["percent"].is_object(), "{document}");
    assert!(document["page"].as_str().unwrap().starts_with("# loss\n"));
    let json = ran(faultctl(&["--json", "catalog"]).spawn().unwrap()).stdout;
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["kinds"][2]["kind"], "partition");
}

#[test]
fn man_writes_a_page_a_command() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("share/man1");
    let ran = ran(faultctl(&["man", pages.to_str().unwrap()]).spawn().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let page = fs::read_to_string(pages.join("faultctl-inject-latency.1")).unwrap();
    for text in ["\\-\\-ms", "\\-\\-port", "\\-\\-for", "\\-\\-socket", "60000"] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    assert_eq!(ran.stdout.lines().count(), fs::read_dir(&pages).unwrap().count());
    assert!(pages.join("faultctl.1").exists() && pages.join("faultctl-revert.1").exists());
}

#[test]
fn completions_know_the_kinds_and_their_options() {
    for shell in ["bash", "zsh", "fish"] {
        let script = ran(faultctl(&["completions", shell]).spawn().unwrap()).stdout;
        for word in ["partition", "jitter", "confirm-within"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
}

#[test]
fn colour_only_where_it_is_wanted() {
    let coloured = |args: &[&str], no_color: &str| {
        let mut command = faultctl(args);
        command.env("NO_COLOR", no_color);
        let ran = ran(command.spawn().unwrap());
        ran.stdout.contains('\u{1b}') || ran.stderr.contains('\u{1b}')
    };
    assert!(!coloured(&["catalog"], ""), "not on a terminal");
    assert!(coloured(&["catalog", "--color", "always"], ""));
    assert!(coloured(&["catalog", "--color", "always"], "1"), "an option outweighs NO_COLOR");
    assert!(!coloured(&["catalog", "--color", "never"], ""));
    assert!(coloured(&["lst", "--color", "always"], ""), "usage errors too");
}
