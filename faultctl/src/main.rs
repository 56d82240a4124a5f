//! The command line of faultd.
//!
//! What was typed ([`cli`]) is apart from what it does ([`command`]) and from
//! how it is shown ([`out`]); exit codes are decided in [`failure`] alone.

mod cli;
mod command;
mod failure;
mod interrupt;
mod out;
mod run;

use std::{env, process::ExitCode};

use clap::{FromArgMatches, error::ErrorKind};

use cli::Cli;
use failure::Failure;
use out::{Colour, Out, When};

fn main() -> ExitCode {
    let args = cli::usage::as_options(env::args_os().collect());
    // Help and usage errors are coloured before the options are known.
    let colour = Colour::new(When::in_args(&args));
    let done = parse(&args, colour).and_then(|parsed| match parsed {
        Some(cli) => {
            let out = Out::new(cli.global.json, Colour::new(cli.global.color));
            command::run(cli, out)
        }
        None => Ok(()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(colour);
            failure.exit_code().into()
        }
    }
}

/// `None`: help or the version was asked for and printed.
fn parse(args: &[std::ffi::OsString], colour: Colour) -> Result<Option<Cli>, Failure> {
    let parsed = cli::definition()
        .color(colour.for_clap())
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Ok(Some(cli)),
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            e.print().map_err(Failure::Output)?;
            Ok(None)
        }
        Err(e) => Err(cli::usage::condense(&e, args)),
    }
}
