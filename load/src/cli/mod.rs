//! The command line: what was typed, apart from what it does.

mod finish;
mod http;
mod show;
mod url;

use clap::{Parser, Subcommand};

pub use http::HttpArgs;
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
}

/// Does what was typed; returns the exit code.
///
/// # Errors
/// Why it could not be done.
pub fn run(cli: Cli) -> anyhow::Result<u8> {
    match cli.command {
        Command::Http(args) => http::run(&args),
    }
}
