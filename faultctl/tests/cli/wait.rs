//! `inject --wait`.

use std::{
    io::{BufRead, BufReader},
    process::Child,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use crate::fake::{Fake, active, ended, ran, with};

const WAIT: [&str; 5] = ["inject", "latency", "--ms", "500", "--wait"];

#[test]
fn stays_until_the_end_and_prints_requested_beside_achieved() {
    let fake = Fake::new()
        .on("POST /v1/faults", 201, &active())
        .on("GET /v1/faults/f-7k2m9q", 200, &active())
        .on("GET /v1/faults/f-7k2m9q", 200, &ended("expired"));
    let ran = fake.run(&WAIT);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let (_, report) = ran.stdout.split_once("revert f-7k2m9q\n").unwrap();
    let expected = "\
f-7k2m9q expired after 1m 00s

  COUNTED      N
  matched   1042
  affected  1040
  overflow     2

  MEASURED  REQUESTED  ACHIEVED
  ms_p50          500   500.024
  ms_p99        519.6     519.5
";
    assert_eq!(report, expected);
}

#[test]
fn json_is_the_fault_as_it_ended() {
    let over = ended("expired");
    let fake =
        Fake::new().on("POST /v1/faults", 201, &active()).on("GET /v1/faults/f-7k2m9q", 200, &over);
    assert_eq!(fake.json(&WAIT), (Some(0), over));
}

#[test]
fn an_end_that_was_not_asked_for_is_a_failure() {
    for (over, line) in [
        (ended("lease_lost"), "f-7k2m9q was not confirmed in time"),
        (ended("daemon_exit"), "f-7k2m9q ended early because faultd stopped"),
        (with(ended("failed"), json!({"error": "no fd"})), "f-7k2m9q failed: no fd"),
        (
            with(ended("expired"), json!({"error": "lo: busy"})),
            "f-7k2m9q could not be taken back completely: lo: busy",
        ),
    ] {
        let fake = Fake::new().on("POST /v1/faults", 201, &active()).on(
            "GET /v1/faults/f-7k2m9q",
            200,
            &over,
        );
        let ran = fake.run(&WAIT);
        assert_eq!((ran.code, ran.stderr), (Some(1), format!("error: {line}\n")));
    }
}

#[test]
fn with_a_lease_it_confirms_as_long_as_it_lives() {
    let fake = Fake::new()
        .on("POST /v1/faults", 201, &active())
        .on("GET /v1/faults/f-7k2m9q", 200, &active())
        .on("POST /v1/faults/f-7k2m9q/confirm", 200, &active())
        .on("POST /v1/faults/f-7k2m9q/confirm", 200, &ended("expired"));
    let ran = fake.run(&[&WAIT[..], &["--lease", "300ms"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let confirms = fake.asked().iter().filter(|call| call.ends_with("/confirm")).count();
    assert_eq!(confirms, 2);
}

#[test]
fn ctrl_c_takes_the_fault_back_and_says_so() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let fake = Fake::new()
            .on("POST /v1/faults", 201, &active())
            .on("GET /v1/faults/f-7k2m9q", 200, &active())
            .on("DELETE /v1/faults/f-7k2m9q", 200, &ended("reverted"));
        let child = fake.command(&WAIT).spawn().unwrap();
        until(|| fake.asked().contains(&"POST /v1/faults".to_owned()));
        interrupt(&child, signal);
        let ran = ran(child);
        assert_eq!(ran.code, Some(code));
        assert_eq!(ran.stderr, "interrupted: reverting f-7k2m9q\n");
        assert!(ran.stdout.contains("f-7k2m9q reverted after 1m 00s\n"), "{}", ran.stdout);
        assert_eq!(fake.asked().last().unwrap(), "DELETE /v1/faults/f-7k2m9q");
    }
}

#[test]
fn what_is_in_force_is_printed_before_the_wait() {
    let fake = Fake::new()
        .on("POST /v1/faults", 201, &active())
        .on("GET /v1/faults/f-7k2m9q", 200, &active())
        .on("DELETE /v1/faults/f-7k2m9q", 200, &ended("reverted"));
    let mut child = fake.command(&WAIT).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("f-7k2m9q is active"), "{line}");
    interrupt(&child, Signal::SIGINT);
    // Its standard output is closed by now: a broken pipe must not keep the
    // fault alive.
    assert_eq!(ran(child).code, Some(130));
    assert_eq!(fake.asked().last().unwrap(), "DELETE /v1/faults/f-7k2m9q");
}

fn interrupt(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

fn until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(10), "nothing happened");
        sleep(Duration::from_millis(5));
    }
}
