//! `cargo xtask bench`: the figures that the project promises, measured by
//! plain sockets and the kernel's own statistics.
//!
//! Each measurement is a module; they share nothing but the daemon's binaries.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up ends here, with the reason")]

mod accuracy;
mod bulk;
mod idle;
mod inject;
mod load;
mod packet;
mod proxy;
mod report;
mod unrelated;

use std::{fs, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use report::{Machine, Report};
use serde::Serialize;

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
        #[command(flatten)]
        options: Options,
        /// Only these parts
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Part>,
    },
    /// faultload, beside other load generators
    Load {
        #[command(flatten)]
        options: Options,
        /// Only these parts
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<load::Part>,
    },
    /// What an active syscall fault costs the calls of processes that it does not name
    Syscall(Options),
    /// Serve as the user-space proxy that bulk transfers are compared with
    #[command(hide = true)]
    Proxy { kind: proxy::Kind, listen: SocketAddr, upstream: SocketAddr, latency_ms: u64 },
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Where the figures go as JSON; `-`: a last line on standard output
    #[arg(long)]
    json: Option<PathBuf>,
    /// The command that was typed, for the report
    #[arg(long, default_value = "faultd-bench")]
    command: String,
    /// A fraction of the samples, to try things out
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

fn main() -> Result<ExitCode> {
    match Cli::parse().what {
        What::Net { options, only } => net(options, &only),
        What::Load { options, only } => load(options, &only),
        What::Syscall(options) => syscall(options),
        What::Proxy { kind, listen, upstream, latency_ms } => {
            kind.serve(listen, upstream, latency_ms)
        }
    }
}

/// What is measured of the network faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Inject,
    Packet,
    Idle,
    Bulk,
    Accuracy,
}

fn net(Options { json, command, scale }: Options, only: &[Part]) -> Result<ExitCode> {
    let has = |part| only.is_empty() || only.contains(&part);
    let report = Report {
        command,
        machine: Machine::here(),
        inject: if has(Part::Inject) { inject::measure(scale) } else { Vec::new() },
        packet: if has(Part::Packet) { packet::measure(scale)? } else { Vec::new() },
        idle: has(Part::Idle).then(idle::measure),
        bulk: has(Part::Bulk).then(|| bulk::measure(scale)).transpose()?,
        accuracy: if has(Part::Accuracy) { accuracy::measure(scale) } else { Vec::new() },
    };
    print!("{report}");
    write(&report, json)?;
    Ok(if report.missed().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn load(Options { json, command, scale }: Options, only: &[load::Part]) -> Result<ExitCode> {
    let report = load::measure(command, scale, only)?;
    print!("{report}");
    write(&report, json)?;
    Ok(if report.missed().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn syscall(Options { json, command, scale }: Options) -> Result<ExitCode> {
    let report = unrelated::measure(command, scale)?;
    print!("{report}");
    write(&report, json)?;
    Ok(ExitCode::SUCCESS)
}

fn write(report: &impl Serialize, json: Option<PathBuf>) -> Result<()> {
    let text = serde_json::to_string(report).context("the report as JSON")?;
    match json {
        Some(path) if path.as_os_str() == "-" => println!("{text}"),
        Some(path) => fs::write(&path, text).with_context(|| path.display().to_string())?,
        None => {}
    }
    Ok(())
}
