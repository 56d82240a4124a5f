//! How long `inject` takes, as a whole process and inside the daemon.

use faultd_tests::{
    World,
    clock::{mono_ns, to_ms},
    daemon::id,
    http::Http,
};
use serde_json::{Value, json};

use crate::report::{Inject, Spread};

const ROUNDS: usize = 100;

/// Each round starts with no fault in force, so that programs are attached anew.
pub fn measure(scale: f64) -> Vec<Inject> {
    eprintln!("inject …");
    let rounds = ((ROUNDS as f64 * scale) as usize).max(5);
    ["latency --ms 5", "loss --percent 5", "partition"].map(|fault| of_kind(fault, rounds)).into()
}

fn of_kind(fault: &str, rounds: usize) -> Inject {
    let world = World::with_peer();
    let (mut process, mut inside, mut call) = (Vec::new(), Vec::new(), Vec::new());
    let line = format!("--json inject {fault} --port 8080 --for 60s");
    for _ in 0..rounds {
        let start = mono_ns();
        let outcome = world.ctl(&line);
        process.push(to_ms(mono_ns() - start));
        let fault = outcome.json();
        inside.push(between(&fault, "created_at", "active_at"));
        world.ctl(&format!("revert {}", id(&fault))).ok();
    }
    let mut http = Http::connect(world.socket()).expect("the daemon's socket");
    let body = body(fault).to_string();
    for _ in 0..rounds {
        let start = mono_ns();
        let made = http.request("POST", "/v1/faults", &body).expect("an answer");
        call.push(to_ms(mono_ns() - start));
        assert_eq!(made.status, 201, "{made:?}");
        let path = format!("/v1/faults/{}", id(&made.json()));
        http.request("DELETE", &path, "").expect("an answer");
    }
    let kind = fault.split(' ').next().unwrap_or_default().to_owned();
    Inject {
        kind,
        process_ms: Spread::of(&process),
        inside_ms: Spread::of(&inside),
        call_ms: Spread::of(&call),
    }
}

fn body(fault: &str) -> Value {
    let params = match fault.split(' ').next() {
        Some("latency") => json!({"ms": 5}),
        Some("loss") => json!({"percent": 5}),
        _ => json!({}),
    };
    let kind = fault.split(' ').next();
    json!({"kind": kind, "params": params, "target": {"port": 8080}, "for": "60s"})
}

/// Milliseconds between two RFC 3339 stamps of the same day, give or take one midnight.
fn between(fault: &Value, from: &str, to: &str) -> f64 {
    let day_ms = 24.0 * 3_600_000.0;
    let of = |name: &str| -> f64 {
        let text = fault[name].as_str().unwrap_or_default();
        let time = text.split('T').nth(1).unwrap_or_default().trim_end_matches('Z');
        let parts: Vec<f64> = time.split(':').map(|p| p.parse().unwrap_or(f64::NAN)).collect();
        parts.iter().fold(0.0, |sum, part| sum * 60.0 + part) * 1e3
    };
    (of(to) - of(from) + day_ms) % day_ms
}
