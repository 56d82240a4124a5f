//! A server that stalls and a server that is away: what happened, and what tools say of it.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::Serialize;

use super::{
    client::{Tool, Tools},
    limits::seconds,
    server::Server,
    tools::{ask, open},
};

/// Requests a second.
const RATE: u32 = 1000;
/// How long the server stalls, and how long it is away.
const STALL: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(2);

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// A stall and what was said of it.
#[derive(Debug, Serialize)]
pub struct Stall {
    /// Who says so.
    pub tool: &'static str,
    /// Quantiles of latency that follow from the length of the stall and of the run, in
    /// milliseconds.
    pub true_p95_ms: f64,
    /// The same.
    pub true_p99_ms: f64,
    /// Those that the tool reports.
    pub p95_ms: f64,
    /// The same.
    pub p99_ms: f64,
    /// The longest one that it reports.
    pub max_ms: f64,
}

/// An outage and what was said of it.
#[derive(Debug, Serialize)]
pub struct Outage {
    /// How long the server was away, in seconds, from its own clock.
    pub true_s: f64,
    /// The longest outage that faultload's probe reports, on fresh connections.
    pub fresh_s: f64,
    /// The same on pooled ones.
    pub pooled_s: f64,
    /// From the first request that the server took again to the first answer that the probe had,
    /// in milliseconds.
    pub recovered_ms: f64,
    /// Answers in the first whole second after the outage, as a share of those asked for.
    pub full_rate: f64,
    /// The share of requests that were due while it was away.
    pub true_error_ratio: f64,
    /// Who says which share of requests failed.
    pub error_ratios: Vec<(&'static str, f64)>,
}

/// The server stalls for a second.
pub fn stall(tools: &Tools, scale: f64) -> Result<Vec<Stall>> {
    let seconds = seconds(10, scale).max(4);
    let mut rows = Vec::new();
    let wanted = [
        (Tool::Faultload, "faultload", None),
        (Tool::Oha, "oha", None),
        (Tool::Oha, "oha --latency-correction", Some("--latency-correction")),
    ];
    for (tool, name, flag) in wanted.into_iter().filter(|(tool, ..)| tools.has(*tool)) {
        let server = Server::start();
        let mut command = open(tools, tool, &server.url("/"), RATE, seconds);
        command.args(flag);
        let (said, _) = std::thread::scope(|scope| {
            scope.spawn(|| {
                sleep(Duration::from_secs(seconds) * 2 / 5);
                server.stall(STALL);
            });
            ask(tool, command)
        })?;
        // Who is due during the stall waits for its end, so these latencies are spread evenly from
        // nothing to its length, and make up this share of the run.
        let share = STALL.as_secs_f64() / seconds as f64;
        let truth = |above: f64| STALL.as_secs_f64() * 1e3 * (1.0 - above / share);
        rows.push(Stall {
            tool: name,
            true_p95_ms: truth(0.05),
            true_p99_ms: truth(0.01),
            p95_ms: said.p95_ms,
            p99_ms: said.p99_ms,
            max_ms: said.max_ms,
        });
    }
    Ok(rows)
}

/// The server is away for two seconds.
pub fn outage(tools: &Tools, scale: f64) -> Result<Outage> {
    let seconds = seconds(10, scale).max(6);
    let mut found = None;
    let mut error_ratios = Vec::new();
    for tool in tools.those([Tool::Faultload, Tool::Oha]) {
        let server = Server::start();
        let mut command = open(tools, tool, &server.url("/"), RATE, seconds);
        if tool == Tool::Faultload {
            command.arg("--probe");
        }
        let (said, _) = std::thread::scope(|scope| {
            scope.spawn(|| {
                sleep(Duration::from_secs(seconds) * 3 / 10);
                server.away(AWAY);
            });
            ask(tool, command)
        })?;
        error_ratios.push((tool.name(), said.error_ratio));
        if tool != Tool::Faultload {
            continue;
        }
        let log = server.take_log().requests;
        let begun = begun(&log).context("no request came")?;
        let gap = log.windows(2).max_by_key(|pair| pair[1] - pair[0]).context("no requests")?;
        let again_s = (gap[1] - begun).as_secs_f64();
        let longest = |stream: &str| said.at(&format!("/probes/0/{stream}/longest_outage_s"));
        let end = |stream: &str| said.at(&format!("/probes/0/{stream}/outages/0/end_s"));
        let end_s = end("fresh").min(end("pooled"));
        let whole = end_s.ceil();
        found = Some(Outage {
            true_s: (gap[1] - gap[0]).as_secs_f64(),
            fresh_s: longest("fresh"),
            pooled_s: longest("pooled"),
            recovered_ms: (end_s - again_s) * 1e3,
            full_rate: said.at(&format!("/timeline/{whole}/ok")) / f64::from(RATE),
            true_error_ratio: AWAY.as_secs_f64() / seconds as f64,
            error_ratios: Vec::new(),
        });
    }
    let found = found.context("faultload was not run")?;
    Ok(Outage { error_ratios, ..found })
}

/// When the run began, by the server's clock. What is due in its first second is known, and
/// nothing comes before it is due: the request that came soonest tells.
fn begun(arrivals: &[Instant]) -> Option<Instant> {
    // The load, and the two streams of the probe, each every 20 ms.
    let load = (0..u64::from(RATE)).map(|at| at * SECOND / u64::from(RATE));
    let probe = (0..100).map(|at| at * SECOND / 100);
    let mut due: Vec<_> = load.chain(probe).collect();
    due.sort_unstable();
    let since = |(&at, due): (&Instant, u64)| at.checked_sub(Duration::from_nanos(due));
    arrivals.iter().zip(due).filter_map(since).min()
}
