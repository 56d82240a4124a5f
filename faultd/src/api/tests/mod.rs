mod client;
mod documents;
mod limits;
mod socket;

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
};

use client::{Api, policy_of_tester};
use serde_json::Value;

fn api() -> Api {
    Api::start(&policy_of_tester("force = true"))
}

#[test]
fn a_fault_lives_and_ends_over_http() {
    let api = api();
    let answer = api.post(
        "/v1/faults",
        r#"{"kind":"partition","target":{"port":80},"for":"60s","lease":"30s","label":"x","seed":7}"#,
    );
    assert_eq!(answer.status, 201, "{answer:?}");
    let fault = answer.json();
    assert_eq!(fault["state"], "active");
    assert_eq!(fault["seed"], 7);
    assert_eq!(fault["owner"]["uid"], nix::unistd::geteuid().as_raw());
    assert_eq!(fault["notes"][0], "a note");
    let id = fault["id"].as_str().unwrap();

    assert_eq!(api.get(&format!("/v1/faults/{id}")).json()["counters"]["matched"], 30);
    assert_eq!(api.get("/v1/faults").json()["faults"][0]["id"], *id);
    assert_eq!(api.get("/v1/explain?port=80").json()["rules"][0]["id"], *id);
    assert_eq!(api.get("/v1/explain?port=81").json()["rules"], Value::Array(Vec::new()));
    assert_eq!(api.post(&format!("/v1/faults/{id}/confirm"), "").status, 200);

    let ended = api.delete(&format!("/v1/faults/{id}"));
    assert_eq!((ended.status, ended.json()["end_reason"].as_str()), (200, Some("reverted")));
    let again = api.delete(&format!("/v1/faults/{id}"));
    assert_eq!(again.json(), ended.json(), "what is over is over");
    assert_eq!(api.get("/v1/faults").json()["faults"], Value::Array(Vec::new()));
    assert_eq!(api.get("/v1/faults?all=true").json()["faults"][0]["id"], *id);
}

#[test]
fn a_plan_changes_nothing() {
    let api = api();
    let answer = api.post("/v1/plan", r#"{"kind":"partition"}"#);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["steps"][2]["apply"], "step c");
    assert_eq!(api.get("/v1/faults?all=true").json()["faults"], Value::Array(Vec::new()));
    assert!(api.bench.done().is_empty());
}

#[test]
fn everything_is_reverted_newest_first_and_told_oldest_first() {
    let api = api();
    let ids = [api.inject(""), api.inject(""), api.inject("")];
    let answer = api.delete("/v1/faults").json();
    let told: Vec<_> = answer["faults"].as_array().unwrap().iter().map(|f| &f["id"]).collect();
    assert_eq!(told, ids.iter().collect::<Vec<_>>());
    assert_eq!(api.engine.active(), 0);
}

#[test]
fn every_error_is_a_problem_document() {
    let api = api();
    let no_lease = format!("/v1/faults/{}/confirm", api.inject(""));
    let json = "content-type: application/json\r\n";
    let post = |body: &'static str| ("POST", "/v1/faults".to_owned(), json, body);
    let table = [
        (("GET", "/nope".into(), "", ""), 404, "invalid", "nothing at /nope"),
        (("PUT", "/v1/faults".into(), "", ""), 405, "invalid", "PUT"),
        (("PATCH", "/metrics".into(), "", ""), 405, "invalid", "PATCH"),
        (("GET", "/v1/faults/f-zzzzzz".into(), "", ""), 404, "no-such-fault", "f-zzzzzz"),
        (("GET", "/v1/faults/%ff".into(), "", ""), 400, "invalid", "path"),
        (("DELETE", "/v1/faults/f-zzzzzz".into(), "", ""), 404, "no-such-fault", "f-zzzzzz"),
        (("POST", "/v1/faults/f-zzzzzz/confirm".into(), "", ""), 404, "no-such-fault", "f-zz"),
        (("POST", no_lease, "", ""), 409, "invalid", "no lease"),
        (("GET", "/v1/faults?al=true".into(), "", ""), 400, "invalid", "unknown field `al`"),
        (("GET", "/v1/faults?all=1".into(), "", ""), 400, "invalid", "query"),
        (("GET", "/v1/events?follow=x".into(), "", ""), 400, "invalid", "query"),
        (("GET", "/v1/explain?prot=tcp".into(), "", ""), 400, "invalid", "prot"),
        (("GET", "/v1/explain?port=1&port=2".into(), "", ""), 400, "invalid", "port"),
        (post(""), 400, "invalid", "malformed"),
        (post("{"), 400, "invalid", "malformed"),
        (post("[]"), 400, "invalid", "malformed"),
        (post(r#"{"kind":"nope"}"#), 400, "invalid", "unknown variant `nope`"),
        (post(r#"{"kind":"partition","fro":"5s"}"#), 400, "invalid", "unknown field `fro`"),
        (post(r#"{"kind":"partition","for":"5s","for":"6s"}"#), 400, "invalid", "duplicate"),
        (post(r#"{"kind":"latency","params":{"ms":5,"ms":6}}"#), 400, "invalid", "field `ms`"),
        (
            post(r#"{"kind":"partition","target":{"port":80,"port":81}}"#),
            400,
            "invalid",
            "duplicate field `port`",
        ),
        (post(r#"{"kind":"partition","for":"-5s"}"#), 400, "invalid", "duration"),
        (post(r#"{"kind":"partition","for":"90days"}"#), 400, "invalid", "--for"),
        (post(r#"{"kind":"partition","params":{"x":1}}"#), 400, "invalid", "params of partition"),
        (post(r#"{"kind":"latency","params":{"ms":0}}"#), 400, "invalid", "--ms must be between"),
        (post(r#"{"kind":"latency","params":{"ms":NaN}}"#), 400, "invalid", "malformed"),
        (post(r#"{"kind":"partition","target":{"port":0}}"#), 400, "invalid", "ports"),
        (post(r#"{"kind":"partition","target":{"pid":[-1]}}"#), 400, "invalid", "malformed"),
        (post(r#"{"kind":"latency","params":{"ms":5}}"#), 501, "not-supported", "no latency"),
        (post(r#"{"kind":"partition","label":"unsupported"}"#), 501, "not-supported", "here"),
        (post(r#"{"kind":"partition","label":"unsafe"}"#), 403, "unsafe", "session"),
        (post(r#"{"kind":"partition","target":{"port":22}}"#), 403, "unsafe", "protected"),
        (post(r#"{"kind":"partition","for":"2h"}"#), 403, "not-permitted", "longer than"),
        (post(r#"{"kind":"partition","label":"apply-fails-b"}"#), 500, "failed", "step b"),
        (post(r#"{"kind":"partition","label":"plan-panic"}"#), 500, "failed", "internal error"),
        (
            ("POST", "/v1/faults".into(), "content-type: text/plain\r\n", "{}"),
            415,
            "invalid",
            "text/plain",
        ),
    ];
    for ((method, path, headers, body), status, kind, detail) in table {
        let answer = api.send(method, &path, headers, body);
        let what = format!("{method} {path} {body}: {answer:?}");
        assert_eq!(answer.status, status, "{what}");
        assert!(answer.headers.contains("content-type: application/problem+json"), "{what}");
        let problem = answer.json();
        assert_eq!(problem["type"], format!("urn:faultd:{kind}"), "{what}");
        assert_eq!(problem["status"], status, "{what}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{what}");
        assert!(!problem["title"].as_str().unwrap().is_empty(), "{what}");
    }
    assert!(api.send("PUT", "/v1/faults", "", "").headers.contains("allow: "));
    assert_eq!(api.engine.active(), 1, "only the one without a lease");
}

#[test]
fn deeply_nested_and_binary_bodies_are_refused() {
    let api = api();
    let deep = format!("{{\"kind\":\"partition\",\"params\":{}}}", "[".repeat(10_000));
    assert_eq!(api.post("/v1/faults", &deep).status, 400);
    assert_eq!(api.post("/v1/faults", "\u{0}\u{1}\u{2}").status, 400);
}

/// The next event of a stream: its name, and its data.
fn next_event(stream: &mut BufReader<UnixStream>) -> (String, Value) {
    let (mut name, mut line) = (String::new(), String::new());
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream ended");
        if let Some(text) = line.strip_prefix("event: ") {
            name = text.trim().to_owned();
        }
        if let Some(text) = line.strip_prefix("data: ") {
            return (name, serde_json::from_str(text).unwrap());
        }
    }
}

fn follow(api: &Api, headers: &str) -> BufReader<UnixStream> {
    let mut stream = api.connect();
    write!(stream, "GET /v1/events HTTP/1.1\r\nhost: x\r\n{headers}\r\n").unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
    stream
}

#[test]
fn events_arrive_as_they_happen() {
    let api = api();
    let mut stream = follow(&api, "");
    let id = api.inject("");
    api.delete(&format!("/v1/faults/{id}"));
    for (seq, expected) in ["planned", "active", "ended"].into_iter().enumerate() {
        let (name, event) = next_event(&mut stream);
        assert_eq!((name.as_str(), event["event"].as_str()), (expected, Some(expected)));
        assert_eq!(event["seq"], seq + 1);
        assert_eq!(event["fault"]["id"], id);
    }
}

#[test]
fn events_that_were_missed_are_sent_on_request() {
    let api = api();
    api.inject("");
    let mut resumed = follow(&api, "last-event-id: 1\r\n");
    assert_eq!(next_event(&mut resumed).1["seq"], 2);
    let held = api.get("/v1/events?follow=false");
    assert_eq!(held.status, 200);
    assert!(held.headers.contains("content-type: text/event-stream"), "{held:?}");
    assert!(held.body.contains("event: planned") && held.body.contains("event: active"));
}

#[test]
fn event_streams_end_when_the_daemon_stops() {
    let mut api = api();
    let mut stream = follow(&api, "");
    let start = std::time::Instant::now();
    api.stop();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stream, &mut rest).unwrap();
    assert!(start.elapsed() < std::time::Duration::from_millis(400), "{:?}", start.elapsed());
    assert!(!api.socket.exists());
}
