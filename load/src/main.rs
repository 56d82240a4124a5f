//! The command line of faultload.

#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::process::ExitCode;

use clap::Parser;
use faultload::cli::{Cli, run, tell};

fn main() -> ExitCode {
    // Usage errors end with 2, as clap has it.
    match run(Cli::parse()) {
        Ok(code) => code.into(),
        Err(error) => {
            tell(format_args!("error: {error:#}"));
            faultload::threshold::EXIT_ERROR.into()
        }
    }
}
