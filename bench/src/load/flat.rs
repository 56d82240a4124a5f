//! Memory over a run at full speed.

use anyhow::Result;
use serde::Serialize;

use super::{
    client::{Tool, Tools},
    limits::seconds,
    nginx::Target,
    tools::{ask, closed},
};

/// The run.
#[derive(Debug, Serialize)]
pub struct Flat {
    /// Which tool.
    pub tool: &'static str,
    /// How long it ran.
    pub seconds: u64,
    /// Resident size after a fifth of that, in MiB.
    pub early_mib: f64,
    /// At the end.
    pub late_mib: f64,
    /// At most.
    pub peak_mib: f64,
}

/// 50 connections for 40 s.
pub fn measure(tools: &Tools, scale: f64) -> Result<Vec<Flat>> {
    let target = Target::start()?;
    let seconds = seconds(40, scale);
    let mut rows = Vec::new();
    for tool in tools.those([Tool::Faultload, Tool::Oha]) {
        let (_, ran) = ask(tool, closed(tools, tool, &target.url(), 50, seconds))?;
        let sizes = &ran.resident_mib;
        rows.push(Flat {
            tool: tool.name(),
            seconds,
            early_mib: sizes.get(sizes.len() / 5).copied().unwrap_or(f64::NAN),
            late_mib: sizes.last().copied().unwrap_or(f64::NAN),
            peak_mib: ran.peak_mib,
        });
    }
    Ok(rows)
}
