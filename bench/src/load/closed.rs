//! The closed loop: connections that ask again when they have their answer.

use anyhow::Result;
use serde::Serialize;

use super::{
    client::{Tool, Tools},
    limits::seconds,
    nginx::Target,
    tools::{ask, closed},
};
use crate::report::Spread;

/// They take turns.
const ROUNDS: usize = 5;

/// A load generator at full speed.
#[derive(Debug, Serialize)]
pub struct Speed {
    /// Which.
    pub tool: &'static str,
    /// Requests a second.
    pub rate: Spread,
    /// Processor seconds for 100 000 requests.
    pub cpu_s: Spread,
    /// Peak resident size, in MiB.
    pub peak_mib: Spread,
}

/// A load generator with many connections.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Which.
    pub tool: &'static str,
    /// How many.
    pub connections: u32,
    /// Requests a second.
    pub rate: f64,
    /// Peak resident size, in MiB.
    pub peak_mib: f64,
}

const ALL: [Tool; 4] = [Tool::Faultload, Tool::Wrk, Tool::Oha, Tool::H2load];

/// 50 connections.
pub fn speed(tools: &Tools, scale: f64) -> Result<Vec<Speed>> {
    let target = Target::start()?;
    let tools_there = tools.those(ALL);
    let seconds = seconds(6, scale);
    let mut measured = vec![(Vec::new(), Vec::new(), Vec::new()); tools_there.len()];
    for round in 0..ROUNDS {
        for at in 0..tools_there.len() {
            // Each round begins with another one, so that none is always after the same.
            let at = (at + round) % tools_there.len();
            let tool = tools_there[at];
            let (said, ran) = ask(tool, closed(tools, tool, &target.url(), 50, seconds))?;
            let (rates, cpus, peaks) = &mut measured[at];
            rates.push(said.ok / seconds as f64);
            cpus.push(ran.cpu_s / said.ok * 1e5);
            peaks.push(ran.peak_mib);
        }
    }
    let rows = tools_there.iter().zip(&measured).map(|(tool, (rates, cpus, peaks))| Speed {
        tool: tool.name(),
        rate: Spread::of(rates),
        cpu_s: Spread::of(cpus),
        peak_mib: Spread::of(peaks),
    });
    Ok(rows.collect())
}

/// 5000 connections.
pub fn memory(tools: &Tools, scale: f64) -> Result<Vec<Memory>> {
    let target = Target::start()?;
    let (connections, seconds) = (5000, seconds(6, scale));
    let mut rows = Vec::new();
    for tool in tools.those(ALL) {
        let command = closed(tools, tool, &target.url(), connections, seconds);
        let (said, ran) = ask(tool, command)?;
        rows.push(Memory {
            tool: tool.name(),
            connections,
            rate: said.ok / seconds as f64,
            peak_mib: ran.peak_mib,
        });
    }
    Ok(rows)
}
