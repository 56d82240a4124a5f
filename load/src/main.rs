//! The command line of faultload.

use std::process::ExitCode;

use clap::Parser;
use faultload::cli::{Cli, run};

fn main() -> ExitCode {
    // Usage errors end with 2, as clap has it.
    match run(Cli::parse()) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            faultload::threshold::EXIT_ERROR.into()
        }
    }
}
