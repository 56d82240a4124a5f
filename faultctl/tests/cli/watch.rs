//! `watch` and `events`.

use serde_json::{Value, json};

use crate::fake::{Fake, active, ended, masked, with};

#[test]
fn watch_prints_a_line_a_second_and_ends_with_the_fault() {
    let fake = Fake::new().on("GET /v1/faults/f-7k2m9q", 200, &active()).on(
        "GET /v1/faults/f-7k2m9q",
        200,
        &ended("expired"),
    );
    let ran = fake.run(&["watch", "f-7k2m9q"]);
    let expected = "\
TIME  f-7k2m9q  latency  1m 00s left  matched 1042  affected 1040  ms_p50 500.024  ms_p99 519.5
TIME  f-7k2m9q  latency  expired  matched 1042  affected 1040  ms_p50 500.024  ms_p99 519.5
";
    assert_eq!(ran.code, Some(0));
    assert!(masked(&ran.stdout).starts_with(expected), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("  ms_p99        519.6     519.5\n"), "{}", ran.stdout);
}

#[test]
fn watch_of_all_is_one_json_document_a_line_and_sees_new_faults() {
    let other = with(active(), json!({"id": "f-other"}));
    let fake = Fake::new()
        .on("GET /v1/faults", 200, &json!({"faults": [active()]}))
        .on("GET /v1/faults", 200, &json!({"faults": [active(), other]}))
        .on("GET /v1/faults", 200, &json!({"faults": []}))
        .on("GET /v1/faults/f-7k2m9q", 200, &ended("expired"))
        .on("GET /v1/faults/f-other", 200, &with(ended("reverted"), json!({"id": "f-other"})));
    let ran = fake.run(&["--json", "watch"]);
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> =
        lines.iter().map(|f| (f["id"].as_str().unwrap(), f["state"].as_str().unwrap())).collect();
    let expected = [
        ("f-7k2m9q", "active"),
        ("f-7k2m9q", "active"),
        ("f-other", "active"),
        ("f-7k2m9q", "ended"),
        ("f-other", "ended"),
    ];
    assert_eq!((ran.code, seen.as_slice()), (Some(0), expected.as_slice()));
}

#[test]
fn watch_without_a_fault_ends_at_once() {
    let fake = Fake::new().on("GET /v1/faults", 200, &json!({"faults": []}));
    let ran = fake.run(&["watch"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert_eq!(ran.stderr, "no fault in force\n");
    assert_eq!(fake.run(&["watch", "f-nope"]).code, Some(6));
}

fn event(seq: u64, what: &str, fault: &Value) -> Value {
    json!({"seq": seq, "at": "2026-11-21T10:00:00.123Z", "event": what, "fault": fault})
}

fn stream(events: &[Value]) -> String {
    let one = |event: &Value| {
        format!("id: {}\nevent: {}\ndata: {event}\n\n", event["seq"], event["event"])
    };
    format!(": hello\n\n{}", events.iter().map(one).collect::<String>())
}

#[test]
fn events_prints_what_the_daemon_still_knows() {
    let failed = with(ended("failed"), json!({"error": "lo: busy"}));
    let events =
        [event(1, "planned", &active()), event(2, "active", &active()), event(3, "ended", &failed)];
    let fake = Fake::new().on_text("GET /v1/events?follow=false", 200, &stream(&events));
    let ran = fake.run(&["events"]);
    let expected = "\
DATE  planned    f-7k2m9q  latency --ms 500 --jitter 20 on --port 8080 (delay-line)
DATE  active     f-7k2m9q  latency --ms 500 --jitter 20 on --port 8080 (delay-line)
DATE  ended      f-7k2m9q  failed: lo: busy
";
    assert_eq!((ran.code, masked(&ran.stdout).as_str()), (Some(0), expected));
    let json = fake.run(&["--json", "events"]).stdout;
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, events);
}

#[test]
fn following_tells_of_gaps_and_of_the_end() {
    let events = [event(1, "active", &active()), event(5, "ended", &ended("expired"))];
    let fake = Fake::new().on_text("GET /v1/events", 200, &stream(&events));
    let ran = fake.run(&["events", "--follow"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(1), 2));
    let expected = "\
3 events were lost: this reader was too slow
error: faultd ended the event stream
";
    assert_eq!(ran.stderr, expected);
}
