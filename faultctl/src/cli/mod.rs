//! What can be typed: one definition per option feeds the parser, the help,
//! the man pages and the completions.

pub mod inject;
pub mod usage;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    ArgAction, Args, CommandFactory, Parser, Subcommand, ValueHint,
    builder::{PossibleValuesParser, TypedValueParser},
};
use faultd_api::{DEFAULT_SOCKET, Kind, Span, Target};

use crate::{out::When, run::FaultSpec};
use inject::Inject;

/// Inject faults into this host, and watch what they do.
#[derive(Debug, Parser)]
#[command(
    name = "faultctl",
    version,
    disable_help_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = exit_codes()
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// The exit codes of the contract; `failure` decides between them.
pub const EXIT_CODES: [(u8, &str); 7] = [
    (0, "done"),
    (1, "the daemon could not do it"),
    (2, "bad usage or invalid request"),
    (3, "daemon not reachable"),
    (4, "not permitted"),
    (5, "not supported on this host"),
    (6, "no such fault"),
];

fn exit_codes() -> String {
    let lines: String = EXIT_CODES.iter().map(|(n, text)| format!("\n  {n}  {text}")).collect();
    format!("Exit codes:{lines}")
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Socket of the daemon
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "FAULTD_SOCKET",
        default_value = DEFAULT_SOCKET,
        hide_env_values = true,
        value_hint = ValueHint::FilePath
    )]
    pub socket: PathBuf,
    /// Print JSON: one document, or one a line for watch and events
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colours; NO_COLOR is honoured
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    pub color: When,
    /// Print help
    #[arg(long, short, global = true, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Inject a fault; returns when it is active
    #[command(
        subcommand,
        arg_required_else_help = false,
        subcommand_value_name = "KIND",
        subcommand_help_heading = "Kinds",
        after_help = "More about one: faultctl catalog KIND"
    )]
    Inject(Box<Inject>),
    /// List the faults in force
    List {
        /// The faults that have ended as well
        #[arg(long, short)]
        all: bool,
    },
    /// Show everything about one fault
    Show(OneFault),
    /// Watch the counters of one fault, or of all, until they end
    Watch {
        /// Fault to watch [default: every fault in force]
        id: Option<String>,
    },
    /// Take faults back before their time is up
    Revert {
        /// Faults to revert
        #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
        ids: Vec<String>,
        /// Revert every fault in force
        #[arg(long, short)]
        all: bool,
    },
    /// Tell which faults a flow or a process meets
    Explain(Box<Explain>),
    /// Tell what works on this host, and what is missing for the rest
    Doctor(OneKind),
    /// Describe the faults there are
    Catalog(OneKind),
    /// Print what happened to faults
    Events {
        /// Go on with what happens from now on
        #[arg(long, short)]
        follow: bool,
    },
    /// Run a command some of whose system calls fail or take longer; needs no daemon
    Run(Box<Run>),
    /// Confirm a fault that has a lease, so that it goes on
    Confirm(OneFault),
    /// Write a completion script to standard output
    Completions {
        /// Shell that is to complete
        shell: clap_complete::Shell,
    },
    /// Write the man pages, one a command, into a directory
    Man {
        /// Directory; made if it does not exist
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
    /// Print the versions of this program and of the daemon
    Version,
}

/// A command about one fault.
#[derive(Debug, Args)]
pub struct OneFault {
    /// The fault, as `list` shows it
    pub id: String,
}

/// A command about one kind of fault, or about all.
#[derive(Debug, Args)]
pub struct OneKind {
    /// Kind of fault [default: all]
    #[arg(value_parser = kind_parser())]
    pub kind: Option<Kind>,
}

/// `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  faultctl run --fault 'syscall --call connect --errno ETIMEDOUT' -- curl http://10.0.0.7/
  faultctl run --fault 'syscall --call fsync --delay 200' -- redis-server
  faultctl run --fault 'syscall --call openat --errno ENOSPC --path /var/lib/app --percent 10' -- app

A fault takes --call, --errno, --delay MS, --percent P or --every N or --first N, --max N and
--path PREFIX: see faultctl catalog syscall. The command's children are hit too.

Exits with the command's status, 128 + N if signal N ended it, 127 if it is not found, 126 if it
cannot be executed. What the faults did is printed on standard error.")]
pub struct Run {
    /// Fault, quoted: 'syscall --call NAME[,NAME] --errno NAME …'; may be repeated
    #[arg(long = "fault", value_name = "FAULT", required = true)]
    pub faults: Vec<FaultSpec>,
    /// How long the faults last; the command goes on [default: as long as the command]
    #[arg(long = "for", value_name = "DUR")]
    pub duration: Option<Span>,
    /// Seed of the random decisions, to repeat a run [default: drawn]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        value_name = "CMD",
        value_hint = ValueHint::CommandWithArguments
    )]
    pub command: Vec<OsString>,
}

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  faultctl explain --proto tcp --port 8080")]
pub struct Explain {
    #[command(flatten)]
    pub target: Target,
}

fn kind_parser() -> impl TypedValueParser<Value = Kind> {
    let names = Kind::ALL.iter().map(|kind| kind.name());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Kind>())
}

/// The whole command line, for the parser and for everything made from it.
pub fn definition() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn every_option_has_a_help_text() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no text", command.get_name());
            for arg in command.get_arguments() {
                let name = format!("{} {}", command.get_name(), arg.get_id());
                assert!(arg.get_help().is_some(), "{name} has no help text");
            }
            command.get_subcommands().for_each(check);
        }
        check(&definition());
    }
}
