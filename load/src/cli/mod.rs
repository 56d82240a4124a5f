//! The command line: what was typed, apart from what it does.

mod abort;
mod http;
mod merge;
mod out;
mod result;
mod run;
mod samples;
mod scenario;
mod show;
mod tell;
mod typed;
mod url;

use std::io::{ErrorKind, Write, stdout};

use anyhow::Context;
use clap::{Parser, Subcommand};

pub use http::HttpArgs;
pub use merge::MergeArgs;
pub use result::{CompareArgs, ReportArgs};
pub use run::RunArgs;
pub use scenario::{ScenarioArgs, SchemaArgs};
pub use tell::{Chain, tell};
pub use url::{Url, UrlError};

/// An honest load generator.
#[derive(Debug, Parser)]
#[command(name = "faultload", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send requests to one URL
    Http(Box<HttpArgs>),
    /// Run a scenario file and write its reports
    Run(Box<RunArgs>),
    /// Validate a scenario file and show its timeline
    Check(ScenarioArgs),
    /// Print the JSON Schema of scenario files or of summary.json
    Schema(SchemaArgs),
    /// Show a result again, or write it in another form
    Report(ReportArgs),
    /// Compare two results; exit code 98 when the second is worse
    Compare(CompareArgs),
    /// Add up results of processes that sent load side by side
    Merge(MergeArgs),
}

/// Does what was typed; returns the exit code.
///
/// # Errors
/// Why it could not be done.
pub fn run(cli: Cli) -> anyhow::Result<u8> {
    let done = match cli.command {
        Command::Http(args) => http::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => scenario::check(&args),
        Command::Schema(args) => scenario::schema(&args),
        Command::Report(args) => result::report(&args),
        Command::Compare(args) => result::compare(&args),
        Command::Merge(args) => merge::merge(&args),
    };
    match done {
        Err(error) if error.is::<Usage>() => {
            tell(format_args!("error: {}", Chain(&error)));
            Ok(USAGE)
        }
        done => done,
    }
}

/// What was asked for cannot be: bad usage, and nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Exit code of bad usage and of an invalid scenario.
const USAGE: u8 = 2;

/// Prints on standard output.
fn print(text: &str) -> anyhow::Result<()> {
    match stdout().write_all(text.as_bytes()) {
        // Whoever reads may have read enough.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write to standard output"),
    }
}
