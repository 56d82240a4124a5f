//! 0 to 5000 to 0 users with think time: a server with little to do answers at once, so what is
//! seen beyond that is the generator.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::{
    client::{Tool, Tools, run},
    limits::seconds,
    nginx::Target,
};

/// The run.
#[derive(Debug, Serialize)]
pub struct Ramp {
    /// Users at most.
    pub users: u32,
    /// Answers.
    pub ok: f64,
    /// Requests that failed.
    pub failed: f64,
    /// Latency that faultload reports.
    pub p50_ms: f64,
    /// The same.
    pub p99_ms: f64,
    /// The same.
    pub max_ms: f64,
    /// Peak resident size, in MiB.
    pub peak_mib: f64,
}

/// Up and down again.
pub fn measure(tools: &Tools, scale: f64) -> Result<Ramp> {
    let target = Target::start()?;
    let (users, half) = (5000, seconds(15, scale));
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("ramp.yaml");
    let text = format!(
        "name: ramp\ntarget: {}\nflows:\n  get:\n    think: 1s\n    steps:\n      - http: GET /\n\
         stages:\n  - {{ for: {half}s, users: {{ from: 0, to: {users} }} }}\n  \
         - {{ for: {half}s, users: {{ from: {users}, to: 0 }} }}\n",
        target.url().trim_end_matches('/')
    );
    fs::write(&file, text)?;
    let out = dir.path().join("out");
    let mut command = tools.command(Tool::Faultload);
    command.arg("run").arg(&file).arg("--quiet").arg("--out").arg(&out);
    let ran = run(command)?;
    let summary = fs::read_to_string(out.join("summary.json")).with_context(|| ran.said.clone())?;
    let json: Value = serde_json::from_str(&summary)?;
    let at = |path: &str| json.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    Ok(Ramp {
        users,
        ok: at("/total/ok"),
        failed: at("/total/failed"),
        p50_ms: at("/total/latency/p50_ms"),
        p99_ms: at("/total/latency/p99_ms"),
        max_ms: at("/total/latency/max_ms"),
        peak_mib: ran.peak_mib,
    })
}
