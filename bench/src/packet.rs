//! What a packet costs that no rule matches, by the kernel's own statistics.

use std::thread;

use anyhow::{Context, Result};
use faultd_tests::{
    World, bpf,
    http::Http,
    traffic::{address, deliver, receiver, sender_to},
};
use serde_json::{Value, json};

use crate::report::Packet;

const PACKETS: usize = 300_000;
/// The best of this many runs: interrupts that fall into a run are counted to it.
const RUNS: usize = 5;

/// Rules that are found in each way, one and a thousand of them.
pub fn measure(scale: f64) -> Result<Vec<Packet>> {
    eprintln!("cost of a packet …");
    // On a kernel that offers no statistics there is nothing to report.
    let _on = bpf::enable_stats().context("BPF_ENABLE_STATS")?;
    let mut all = Vec::new();
    for (name, target) in [("port", port as fn(usize) -> Value), ("address", network)] {
        for rules in [1, 1000] {
            all.push(Packet {
                dimension: name.to_owned(),
                rules,
                ns: cost(rules, target, (PACKETS as f64 * scale) as usize)?,
            });
        }
    }
    Ok(all)
}

fn port(i: usize) -> Value {
    json!({"port": 20_000 + i, "dev": ["lo"]})
}

fn network(i: usize) -> Value {
    json!({"remote": [format!("10.{}.{}.0/24", i / 250, i % 250)], "dev": ["lo"]})
}

fn cost(rules: usize, target: fn(usize) -> Value, packets: usize) -> Result<f64> {
    let world = World::new();
    let mut http = Http::connect(world.socket())?;
    for i in 0..rules {
        let body = json!({"kind": "partition", "target": target(i), "for": "600s"});
        let made = http.request("POST", "/v1/faults", &body.to_string())?;
        anyhow::ensure!(made.status == 201, "rule {i}: {}", made.body);
    }
    let receiver = receiver("127.0.0.1:0");
    let sender = sender_to(address(&receiver));
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let before = classifier(&world)?;
        deliver(&sender, &receiver, packets / RUNS);
        let after = classifier(&world)?;
        let runs = after.runs - before.runs;
        anyhow::ensure!(runs as usize >= packets / RUNS, "the program ran {runs} times only");
        best = best.min((after.time_ns - before.time_ns) as f64 / runs as f64);
        thread::yield_now();
    }
    Ok(best)
}

/// The statistics of the program on loopback.
fn classifier(world: &World) -> Result<bpf::RunStats> {
    let (programs, _) = bpf::held_by(world.pid());
    let mut sum = bpf::RunStats { time_ns: 0, runs: 0 };
    for id in programs {
        let (name, stats) = bpf::run_stats(id)?;
        if name == "tc_egress" {
            sum.time_ns += stats.time_ns;
            sum.runs += stats.runs;
        }
    }
    anyhow::ensure!(sum.runs > 0 || sum.time_ns == 0, "no classifier is loaded");
    Ok(sum)
}
