//! `load`: how fast faultload is, what it costs, and whether what it says is what happened;
//! beside the load generators that are there.
//!
//! The server has the first core and the client the last one, each to itself. Tools take turns,
//! so that what else happens to the machine happens to all of them; medians are what counts.

mod client;
mod closed;

mod flat;
mod limits;
mod nginx;
mod pacing;
mod report;
mod server;
mod stall;
mod streams;
mod tools;
mod users;

use anyhow::Result;
use clap::ValueEnum;

use crate::report::Machine;
use client::Tools;
pub use report::Report;

/// What is measured of faultload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// 50 connections as fast as they go
    Closed,
    /// Peak memory with 5000 connections
    Memory,
    /// Arrivals at 1000, 5000 and 20 000 a second, as the server sees them
    Pacing,
    /// A server that stalls, and one that is away
    Stall,
    /// 0 to 5000 to 0 users
    Ramp,
    /// 256 streams of server-sent events
    Sse,
    /// Memory over a run
    Flat,
}

/// Measures; no `only`: everything.
///
/// # Errors
/// A server or a client cannot be run.
pub fn measure(command: String, scale: f64, only: &[Part]) -> Result<Report> {
    let has = |part| only.is_empty() || only.contains(&part);
    limits::raise();
    let machine = Machine::here();
    let tools = Tools::find()?;
    Ok(Report {
        command,
        machine,
        server: nginx::version(),
        missing: tools.missing(),
        versions: tools.versions(),
        closed: if has(Part::Closed) { closed::speed(&tools, scale)? } else { Vec::new() },
        memory: if has(Part::Memory) { closed::memory(&tools, scale)? } else { Vec::new() },
        pacing: if has(Part::Pacing) { pacing::measure(&tools, scale)? } else { Vec::new() },
        stall: if has(Part::Stall) { stall::stall(&tools, scale)? } else { Vec::new() },
        outage: has(Part::Stall).then(|| stall::outage(&tools, scale)).transpose()?,
        ramp: has(Part::Ramp).then(|| users::measure(&tools, scale)).transpose()?,
        sse: has(Part::Sse).then(|| streams::measure(&tools, scale)).transpose()?,
        flat: if has(Part::Flat) { flat::measure(&tools, scale)? } else { Vec::new() },
    })
}
