//! What the tools are told to do, and what they say happened.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::client::{Ran, Tool, Tools, run};

/// What a tool says of a run.
#[derive(Debug, Default)]
pub struct Said {
    /// Answers as wanted.
    pub ok: f64,
    /// Of all requests, the share that failed.
    pub error_ratio: f64,
    /// Latency in milliseconds.
    pub p95_ms: f64,
    /// The same.
    pub p99_ms: f64,
    /// The same.
    pub max_ms: f64,
    /// Everything, of those that say it as JSON.
    pub json: Value,
}

/// As fast as `connections` go, for so many seconds.
pub fn closed(tools: &Tools, tool: Tool, url: &str, connections: u32, seconds: u64) -> Command {
    let mut command = tools.command(tool);
    let (c, s) = (connections.to_string(), format!("{seconds}s"));
    match tool {
        Tool::Faultload => {
            command.args(["http", "--threads=1", "--quiet", "--json", "--users", &c, "--for", &s])
        }
        Tool::Wrk => command.args(["-t1", "-c", &c, "-d", &s, "--latency"]),
        Tool::Oha => command.args(["--no-tui", "--output-format=json", "-c", &c, "-z", &s]),
        Tool::H2load => command.args(["--h1", "-t1", "-c", &c, "-D", s.trim_end_matches('s')]),
    };
    command.arg(url);
    command
}

/// `rate` requests a second. Only faultload and oha can.
pub fn open(tools: &Tools, tool: Tool, url: &str, rate: u32, seconds: u64) -> Command {
    let mut command = tools.command(tool);
    let (r, s) = (rate.to_string(), format!("{seconds}s"));
    match tool {
        Tool::Faultload => {
            command.args(["http", "--threads=1", "--quiet", "--json", "--rate", &r, "--for", &s])
        }
        _ => {
            let c = if rate > 5000 { "256" } else { "64" };
            command.args(["--no-tui", "--output-format=json", "-c", c, "-q", &r, "-z", &s])
        }
    };
    command.arg(url);
    command
}

/// Runs it and reads what it says.
pub fn ask(tool: Tool, command: Command) -> Result<(Said, Ran)> {
    let ran = run(command)?;
    let said = match tool {
        Tool::Faultload => faultload(&ran.said),
        Tool::Oha => oha(&ran.said),
        Tool::Wrk => wrk(&ran.said),
        Tool::H2load => h2load(&ran.said),
    };
    Ok((said.with_context(|| format!("{} said: {}", tool.name(), excerpt(&ran.said)))?, ran))
}

fn excerpt(text: &str) -> String {
    text.chars().take(400).collect()
}

fn at(json: &Value, path: &str) -> f64 {
    json.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

impl Said {
    /// The number at that JSON pointer; NaN where there is none.
    pub fn at(&self, path: &str) -> f64 {
        at(&self.json, path)
    }
}

fn faultload(text: &str) -> Result<Said> {
    let json: Value = serde_json::from_str(text)?;
    Ok(Said {
        ok: at(&json, "/total/ok"),
        error_ratio: at(&json, "/total/error_ratio"),
        p95_ms: at(&json, "/total/latency/p95_ms"),
        p99_ms: at(&json, "/total/latency/p99_ms"),
        max_ms: at(&json, "/total/latency/max_ms"),
        json,
    })
}

fn oha(text: &str) -> Result<Said> {
    let json: Value = serde_json::from_str(text)?;
    let sum = |key: &str| -> f64 {
        let counts = json.get(key).and_then(Value::as_object);
        counts.map_or(0.0, |counts| counts.values().filter_map(Value::as_f64).sum())
    };
    // Requests under way at the end are not the server's failures.
    let cut = "/errorDistribution/aborted due to deadline";
    let cut = json.pointer(cut).and_then(Value::as_f64).unwrap_or(0.0);
    let (ok, failed) = (sum("statusCodeDistribution"), sum("errorDistribution") - cut);
    let ms = |path: &str| at(&json, path) * 1e3;
    Ok(Said {
        ok,
        error_ratio: failed / (ok + failed),
        p95_ms: ms("/latencyPercentiles/p95"),
        p99_ms: ms("/latencyPercentiles/p99"),
        max_ms: ms("/summary/slowest"),
        json,
    })
}

fn wrk(text: &str) -> Result<Said> {
    // `  641022 requests in 5.00s, 100.85MB read`
    let line = text.lines().find(|line| line.contains(" requests in ")).context("no total")?;
    let ok = line.split_whitespace().next().context("no count")?.parse()?;
    Ok(Said { ok, ..Said::default() })
}

fn h2load(text: &str) -> Result<Said> {
    // `requests: 560000 total, 560000 started, 560000 done, 560000 succeeded, 0 failed, …`
    let line = text.lines().find(|line| line.starts_with("requests:")).context("no total")?;
    let done = line.split(", ").find(|part| part.ends_with(" succeeded")).context("no count")?;
    let ok = done.split(' ').next().context("no count")?.parse()?;
    Ok(Said { ok, ..Said::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_in_what_tools_say() {
        let text = "Running 5s test\n  641022 requests in 5.00s, 100.85MB read\nRequests/sec: 1\n";
        assert!((wrk(text).unwrap().ok - 641_022.0).abs() < 0.5);
        let text = "finished\nrequests: 7 total, 7 started, 7 done, 6 succeeded, 1 failed, 0 x\n";
        assert!((h2load(text).unwrap().ok - 6.0).abs() < 0.5);
        let text = r#"{"statusCodeDistribution":{"200":75},
            "errorDistribution":{"aborted due to deadline":9,"connection refused":25},
            "latencyPercentiles":{"p95":0.5}}"#;
        let said = oha(text).unwrap();
        assert!((said.error_ratio - 0.25).abs() < 1e-9 && (said.p95_ms - 500.0).abs() < 1e-9);
        assert!(said.max_ms.is_nan());
    }
}
