//! 256 streams of server-sent events at once: what the server did, and what faultload says.

use anyhow::Result;
use serde::Serialize;

use super::{
    client::{Tool, Tools},
    limits::seconds,
    server::Server,
    tools::{ask, closed},
};
use crate::report::Spread;

/// The run.
#[derive(Debug, Serialize)]
pub struct Streams {
    /// How many at once.
    pub streams: u32,
    /// Complete ones.
    pub ok: f64,
    /// From reading a request to writing its first event, by the server's clock, in milliseconds.
    pub true_first_ms: Spread,
    /// From one event to the next, the same.
    pub true_between_ms: Spread,
    /// What faultload says of the first events: median and 99 of 100.
    pub first_ms: (f64, f64),
    /// And from one to the next.
    pub between_ms: (f64, f64),
}

/// Each begins again when it has ended.
pub fn measure(tools: &Tools, scale: f64) -> Result<Streams> {
    let server = Server::start();
    let streams = 256;
    let url = server.url("/stream");
    let mut command = closed(tools, Tool::Faultload, &url, streams, seconds(10, scale));
    // One after the other within a second: opening 256 connections at once takes its time, and
    // that is not what this is about.
    command.args(["--stream", "sse", "--ramp", "1s"]);
    let (said, _) = ask(Tool::Faultload, command)?;
    let log = server.take_log();
    let both = |name: &str| {
        let at = |quantile: &str| said.at(&format!("/total/stream/{name}/{quantile}_ms"));
        (at("p50"), at("p99"))
    };
    Ok(Streams {
        streams,
        ok: said.ok,
        true_first_ms: Spread::of(&log.first_events_ms),
        true_between_ms: Spread::of(&log.between_ms),
        first_ms: both("first_event"),
        between_ms: both("between_events"),
    })
}
