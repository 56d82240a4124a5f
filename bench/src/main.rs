//! `cargo xtask bench net`: the figures that the project promises, measured by
//! plain sockets and the kernel's own statistics.
//!
//! Each measurement is a module; they share nothing but the daemon's binaries.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up ends here, with the reason")]

mod accuracy;
mod bulk;
mod idle;
mod inject;
mod packet;
mod proxy;
mod report;

use std::{fs, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use report::{Machine, Report};

/// Measures faultd.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The network faults
    Net {
        /// Where the figures go as JSON; `-`: a last line on standard output
        #[arg(long)]
        json: Option<PathBuf>,
        /// The command that was typed, for the report
        #[arg(long, default_value = "faultd-bench net")]
        command: String,
        /// A fraction of the samples, to try things out
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
    },
    /// Serve as the user-space proxy that bulk transfers are compared with
    #[command(hide = true)]
    Proxy { kind: proxy::Kind, listen: SocketAddr, upstream: SocketAddr, latency_ms: u64 },
}

fn main() -> Result<ExitCode> {
    match Cli::parse().what {
        What::Net { json, command, scale } => net(json, command, scale),
        What::Proxy { kind, listen, upstream, latency_ms } => {
            kind.serve(listen, upstream, latency_ms)
        }
    }
}

fn net(json: Option<PathBuf>, command: String, scale: f64) -> Result<ExitCode> {
    let report = Report {
        command,
        machine: Machine::here(),
        inject: inject::measure(scale),
        packet: packet::measure(scale)?,
        idle: idle::measure(),
        bulk: bulk::measure(scale)?,
        accuracy: accuracy::measure(scale),
    };
    print!("{report}");
    let text = serde_json::to_string(&report).context("the report as JSON")?;
    match json {
        Some(path) if path.as_os_str() == "-" => println!("{text}"),
        Some(path) => fs::write(&path, text).with_context(|| path.display().to_string())?,
        None => {}
    }
    Ok(if report.missed().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
