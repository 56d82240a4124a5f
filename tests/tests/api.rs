//! The HTTP API as it is on the wire: fields, problems, events, metrics.

use std::{thread, time::Duration};

use faultd_tests::{
    World,
    clock::mono_ns,
    daemon::id,
    http::{Http, request},
    slowly,
};
use serde_json::{Value, json};

fn create(world: &World, body: &Value) -> Value {
    let response = request(world.socket(), "POST", "/v1/faults", &body.to_string());
    assert_eq!(response.status, 201, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    response.json()
}

#[test]
fn a_fault_has_the_fields_of_the_contract() {
    let world = World::new();
    let before = mono_ns();
    let fault = create(
        &world,
        &json!({"kind": "latency", "params": {"ms": 500}, "target": {"port": 8080},
                "for": "60s", "label": "a label", "seed": 1234}),
    );
    let after = mono_ns();
    let id = id(&fault);
    assert!(id.len() == 8 && id.starts_with("f-"), "{id}");
    for (field, expected) in [
        ("kind", json!("latency")),
        ("target", json!({"port": 8080})),
        ("state", json!("active")),
        ("label", json!("a label")),
        ("seed", json!(1234)),
        ("owner", json!({"uid": 0})),
        ("ended_at", Value::Null),
        ("end_reason", Value::Null),
        ("ended_mono_ns", Value::Null),
    ] {
        assert_eq!(fault[field], expected, "{field}");
    }
    assert_eq!(fault["params"]["ms"], json!(500.0));
    assert!(["edt", "delay-line", "netem"].contains(&fault["backend"].as_str().unwrap()));
    for stamp in ["created_at", "active_at", "expires_at"] {
        let text = fault[stamp].as_str().unwrap();
        assert!(text.len() >= 20 && text.ends_with('Z') && text.contains('T'), "{stamp}: {text}");
    }
    let active = fault["active_mono_ns"].as_u64().unwrap();
    assert!(before < active && active < after, "active_mono_ns is not CLOCK_MONOTONIC");
    assert_eq!(fault["counters"]["matched"], 0);
    assert_eq!(fault["counters"]["affected"], 0);

    assert_eq!(world.get(&format!("/v1/faults/{id}"))["id"], id.as_str());
    let reverted = request(world.socket(), "DELETE", &format!("/v1/faults/{id}"), "");
    assert_eq!(reverted.status, 200);
    let ended = reverted.json();
    assert_eq!(ended["state"], "ended");
    assert_eq!(ended["end_reason"], "reverted");
    assert!(ended["ended_mono_ns"].as_u64().unwrap() > active);
    // Idempotent.
    let again = request(world.socket(), "DELETE", &format!("/v1/faults/{id}"), "");
    assert_eq!((again.status, again.json()["ended_at"].clone()), (200, ended["ended_at"].clone()));
}

#[test]
fn the_list_and_the_history() {
    let world = World::new();
    let body = json!({"kind": "partition", "target": {"port": 9}});
    let ids: Vec<String> = (0..3).map(|_| id(&create(&world, &body))).collect();
    let listed = |path: &str| -> Vec<String> {
        world.get(path)["faults"].as_array().unwrap().iter().map(id).collect()
    };
    assert_eq!(listed("/v1/faults"), ids, "oldest first");
    let response = request(world.socket(), "DELETE", "/v1/faults", "");
    assert_eq!(response.status, 200);
    assert_eq!(response.json()["faults"].as_array().unwrap().len(), 3);
    assert!(listed("/v1/faults").is_empty());
    assert_eq!(listed("/v1/faults?all=true"), ids);
}

#[test]
fn problems_are_documents() {
    let world = World::new();
    for (method, path, body, status, kind) in [
        ("GET", "/v1/faults/f-zzzzzz", "", 404, "no-such-fault"),
        ("DELETE", "/v1/faults/f-zzzzzz", "", 404, "no-such-fault"),
        ("POST", "/v1/faults/f-zzzzzz/confirm", "", 404, "no-such-fault"),
        ("GET", "/v1/nothing", "", 404, "invalid"),
        ("GET", "/v1/faults?al=true", "", 400, "invalid"),
        ("GET", "/v1/explain?prot=tcp", "", 400, "invalid"),
        ("DELETE", "/v1/health", "", 405, "invalid"),
        ("POST", "/v1/plan", "{}", 400, "invalid"),
    ] {
        let response = request(world.socket(), method, path, body);
        assert_eq!(response.status, status, "{method} {path}: {response:?}");
        let content = response.header("content-type");
        assert_eq!(content, Some("application/problem+json"), "{method} {path}");
        let problem = response.json();
        assert_eq!(problem["type"], format!("urn:faultd:{kind}"), "{method} {path}: {problem}");
        assert!(!problem["title"].as_str().unwrap().is_empty());
    }
}

#[test]
fn one_connection_serves_many_requests() {
    let world = World::new();
    let mut http = Http::connect(world.socket()).unwrap();
    for _ in 0..50 {
        assert_eq!(http.request("GET", "/v1/health", "").unwrap().status, 200);
        let wrong = http.request("POST", "/v1/faults", "{}").unwrap();
        assert_eq!(wrong.status, 400);
    }
}

#[test]
fn a_connection_that_says_nothing_stops_nobody() {
    use std::{io::Write, os::unix::net::UnixStream};
    let world = World::new();
    let _silent: Vec<_> = (0..20).map(|_| UnixStream::connect(world.socket()).unwrap()).collect();
    let mut half = UnixStream::connect(world.socket()).unwrap();
    half.write_all(b"POST /v1/faults HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").unwrap();
    let mut garbage = UnixStream::connect(world.socket()).unwrap();
    garbage.write_all(&[0xff; 4096]).unwrap();
    assert_eq!(world.get("/v1/health")["status"], "ok");
}

#[test]
fn events_tell_a_life() {
    let world = World::new();
    let http = Http::connect(world.socket()).unwrap();
    let (status, lines) = http.stream("/v1/events").unwrap();
    assert_eq!(status, 200);
    let fault = create(
        &world,
        &json!({"kind": "loss", "params": {"percent": 5}, "target": {"port": 9},
                "for": "20s", "lease": "10s"}),
    );
    let id = id(&fault);
    let confirm = request(world.socket(), "POST", &format!("/v1/faults/{id}/confirm"), "");
    assert_eq!(confirm.status, 200, "{confirm:?}");
    request(world.socket(), "DELETE", &format!("/v1/faults/{id}"), "");

    let (mut names, mut last) = (Vec::new(), None);
    for line in lines {
        let line = line.unwrap();
        if let Some(name) = line.strip_prefix("event: ") {
            names.push(name.to_owned());
        }
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!(event["fault"]["id"], id.as_str());
        let seq = event["seq"].as_u64().unwrap();
        assert!(last.is_none_or(|l| seq == l + 1), "a gap: {last:?}, {seq}");
        last = Some(seq);
        if event["event"] == "ended" {
            assert_eq!(event["fault"]["end_reason"], "reverted");
            break;
        }
    }
    assert_eq!(names, ["planned", "active", "confirmed", "ended"]);
    // And once more from the buffer, which ends.
    let buffered = request(world.socket(), "GET", "/v1/events?follow=false", "");
    assert_eq!(buffered.body.matches("event: ").count(), 4, "{}", buffered.body);
}

#[test]
fn leases() {
    let world = World::new();
    let lease = slowly(Duration::from_millis(600));
    let body = json!({"kind": "partition", "target": {"port": 9}, "for": "300s",
                      "lease": format!("{}ms", lease.as_millis())});
    let kept = id(&create(&world, &body));
    let lost = id(&create(&world, &body));
    for _ in 0..3 {
        thread::sleep(lease / 2);
        let path = format!("/v1/faults/{kept}/confirm");
        assert_eq!(request(world.socket(), "POST", &path, "").status, 200);
    }
    assert_eq!(world.show(&lost)["end_reason"], "lease_lost");
    assert_eq!(world.show(&kept)["state"], "active");
    let path = format!("/v1/faults/{lost}/confirm");
    assert!(request(world.socket(), "POST", &path, "").status >= 400, "confirmed too late");
    world.revert_all();
}

#[test]
fn metrics_are_prometheus_text() {
    let world = World::new();
    world.inject("partition --port 9 --for 30s");
    world.ctl("inject latency --ms 0").refused(2, &[]);
    let response = request(world.socket(), "GET", "/metrics", "");
    assert_eq!(response.status, 200);
    assert!(response.header("content-type").unwrap().starts_with("text/plain"));
    let mut typed = std::collections::HashSet::new();
    for line in response.body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed.insert(rest.split(' ').next().unwrap().to_owned());
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap_or_else(|e| panic!("{line}: {e}"));
        let name = series.split('{').next().unwrap();
        assert!(typed.contains(name), "{name} has no TYPE line");
    }
    let active = response.body.lines().find(|l| {
        l.starts_with("faultd_faults_active") && l.contains("partition") && l.ends_with(" 1")
    });
    assert!(active.is_some(), "{}", response.body);
    world.revert_all();
}

#[test]
fn openapi_describes_every_route() {
    let world = World::new();
    let document = world.get("/v1/openapi.json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{document}");
    for (path, methods) in [
        ("/v1/faults", &["get", "post", "delete"][..]),
        ("/v1/faults/{id}", &["get", "delete"]),
        ("/v1/faults/{id}/confirm", &["post"]),
        ("/v1/plan", &["post"]),
        ("/v1/explain", &["get"]),
        ("/v1/events", &["get"]),
        ("/v1/capabilities", &["get"]),
        ("/v1/health", &["get"]),
        ("/metrics", &["get"]),
        ("/v1/openapi.json", &["get"]),
    ] {
        for method in methods {
            let operation = &document["paths"][path][*method];
            assert!(operation["responses"].is_object(), "{method} {path}");
        }
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}

#[test]
fn capabilities_say_why_not() {
    let world = World::new();
    let found = world.get("/v1/capabilities");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(found["kernel"], release.trim());
    for kind in ["latency", "loss", "partition"] {
        let kinds = found["kinds"].as_array().unwrap();
        let entry = kinds.iter().find(|k| k["kind"] == kind).unwrap();
        let backends = entry["backends"].as_array().unwrap();
        assert!(backends.iter().any(|b| b["support"] == "yes"), "{kind}: {entry}");
        for backend in backends {
            assert!(!backend["detail"].as_str().unwrap().is_empty(), "{backend}");
        }
    }
    world.assert_untouched();
}

#[test]
fn a_plan_is_no_fault() {
    let world = World::new();
    let body = json!({"kind": "partition", "target": {"port": 9}}).to_string();
    let response = request(world.socket(), "POST", "/v1/plan", &body);
    assert_eq!(response.status, 200, "{response:?}");
    let plan = response.json();
    for field in ["backend", "backend_reason"] {
        assert!(!plan[field].as_str().unwrap().is_empty(), "{field}");
    }
    for step in plan["steps"].as_array().unwrap() {
        assert!(!step["apply"].as_str().unwrap().is_empty(), "{step}");
        assert!(!step["undo"].as_str().unwrap().is_empty(), "{step}");
    }
    world.assert_untouched();
    assert_eq!(world.get("/v1/faults?all=true")["faults"], json!([]));
}
