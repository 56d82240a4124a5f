//! A thousand faults at once, and faults by many at the same time.

use std::{thread, time::Duration};

use faultd_tests::{
    World,
    clock::{mono_ns, to_ms},
    daemon::id,
    http::Http,
    slow,
    traffic::{address, deliver, lost, receiver, sender_to},
};
use serde_json::{Value, json};

const FAULTS: usize = 1000;

#[test]
fn a_thousand_faults_are_accepted_listed_matched_and_reverted() {
    let world = World::new();
    let mut http = Http::connect(world.socket()).unwrap();
    // Two real receivers among ports where nobody is.
    let (hit, spared) = (receiver("127.0.0.1:0"), receiver("127.0.0.1:0"));
    let skip = address(&spared).port();
    let mut ports: Vec<u16> = (2000..).filter(|p| *p != skip).take(FAULTS - 1).collect();
    if !ports.contains(&address(&hit).port()) {
        ports.push(address(&hit).port());
    } else {
        ports.push(1999);
    }
    let start = mono_ns();
    for (i, port) in ports.iter().enumerate() {
        let kind = ["loss", "partition"][i % 2];
        let params = if kind == "loss" { json!({"percent": 100}) } else { json!({}) };
        let body = json!({"kind": kind, "params": params, "for": "120s",
                          "target": {"port": port, "dev": ["lo"]}});
        let response = http.request("POST", "/v1/faults", &body.to_string()).unwrap();
        assert_eq!(response.status, 201, "fault {i}: {response:?}");
    }
    let each = to_ms(mono_ns() - start) / FAULTS as f64;
    assert!(each < 20.0 * slow(), "{each:.1} ms a fault");

    let list = world.get("/v1/faults")["faults"].as_array().unwrap().clone();
    assert_eq!(list.len(), FAULTS);
    let mut ids: Vec<String> = list.iter().map(id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), FAULTS, "ids repeat");
    assert!(world.ctl("list").ok().lines().count() > FAULTS);

    assert_eq!(lost(&deliver(&sender_to(address(&hit)), &hit, 200)), 200);
    assert_eq!(lost(&deliver(&sender_to(address(&spared)), &spared, 2000)), 0);
    let matched = |list: &[Value]| {
        list.iter().filter(|f| f["counters"]["matched"].as_u64() > Some(0)).count()
    };
    let list = world.get("/v1/faults")["faults"].as_array().unwrap().clone();
    assert_eq!(matched(&list), 1, "only one of them meets traffic");

    let start = mono_ns();
    world.ctl("revert --all").ok();
    let took = to_ms(mono_ns() - start);
    assert!(took < 5000.0 * slow(), "reverting took {took} ms");
    assert_eq!(world.get("/v1/faults")["faults"].as_array().map(Vec::len), Some(0));
    assert_eq!(lost(&deliver(&sender_to(address(&hit)), &hit, 200)), 0);
    world.assert_clean();
}

#[test]
fn a_thousand_latencies_end_by_themselves() {
    let world = World::new();
    let mut http = Http::connect(world.socket()).unwrap();
    for i in 0..FAULTS {
        let body = json!({"kind": "latency", "params": {"ms": 5},
                          "for": format!("{}ms", 3000.0 * slow()), "target": {"port": 2000 + i}});
        let response = http.request("POST", "/v1/faults", &body.to_string()).unwrap();
        assert_eq!(response.status, 201, "fault {i}: {response:?}");
    }
    // Those of the beginning may be over already.
    world.wait_idle(Duration::from_secs(15));
    let all = world.get("/v1/faults?all=true")["faults"].as_array().unwrap().clone();
    assert!(all.iter().all(|f| f["end_reason"] == "expired"), "not all expired");
    world.assert_clean();
}

#[test]
fn many_clients_at_once() {
    let world = World::new();
    let socket = world.socket().to_owned();
    let workers: Vec<_> = (0..8_u16)
        .map(|worker| {
            let socket = socket.clone();
            thread::spawn(move || {
                let mut http = Http::connect(&socket).unwrap();
                for round in 0..25_u16 {
                    let port = 3000 + worker * 100 + round;
                    let body = json!({"kind": "partition", "target": {"port": port}}).to_string();
                    let made = http.request("POST", "/v1/faults", &body).unwrap();
                    assert_eq!(made.status, 201, "{made:?}");
                    let path = format!("/v1/faults/{}", id(&made.json()));
                    let gone = http.request("DELETE", &path, "").unwrap();
                    assert_eq!(gone.json()["end_reason"], "reverted");
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(world.get("/v1/health")["active"], 0);
    world.assert_clean();
}
