//! faultd: arguments, and which of its parts they mean.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};
use faultd::{
    chain::chain,
    commands, config,
    daemon::{self, Paths},
    engine::{guardian, state_dir},
    fault::{Preparation, process::charge},
    logging::{self, LogFormat},
};

const AFTER_HELP: &str = "\
Environment:
  FAULTD_LOG  What is logged: info (as without it), debug, faultd::engine=trace, …;
              faultd::bpf=debug tells what the programs in the kernel do to each packet";

/// Host-level fault injection daemon
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
struct Args {
    /// Unix socket to listen on
    #[arg(long, value_name = "PATH", default_value = faultd_api::DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Where journal, audit file and lock are kept
    #[arg(long, value_name = "DIR", default_value = state_dir::DEFAULT_PATH)]
    state_dir: PathBuf,
    /// Policy file [default: /etc/faultd/config.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look, on standard error
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,
    /// Load programs and try backends when a fault needs them, not at the start
    #[arg(long)]
    lazy: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Take back what a dead daemon left, then exit
    Recover {
        /// Its state directory
        #[arg(long, value_name = "DIR", default_value = state_dir::DEFAULT_PATH)]
        state_dir: PathBuf,
    },
    /// Check a policy file, then exit
    CheckConfig {
        /// The file
        #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
        config: PathBuf,
    },
    /// Started by the daemon itself
    #[command(hide = true)]
    Guardian {
        #[arg(long)]
        state_dir: PathBuf,
        #[arg(long)]
        generation: u64,
    },
    /// Started by the daemon itself, for an oom fault
    #[command(hide = true)]
    ChargeMemory {
        #[arg(long)]
        group: PathBuf,
        #[arg(long)]
        kills: u64,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command {
        None => {
            logging::start(args.log_format);
            let Args { socket, state_dir, config, lazy, .. } = args;
            let preparation = if lazy { Preparation::Lazy } else { Preparation::AtOnce };
            daemon::run(&Paths { socket, state_dir, config }, preparation)
                .map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Recover { state_dir }) => commands::recover(&state_dir),
        Some(Command::CheckConfig { config }) => commands::check_config(&config),
        Some(Command::Guardian { state_dir, generation }) => {
            guardian::run(&state_dir, generation).context("guardian")
        }
        Some(Command::ChargeMemory { group, kills }) => {
            charge::run(&group, kills).context("charge-memory").map(|()| ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|e| {
        eprintln!("faultd: {}", chain(&*e));
        if !nix::unistd::geteuid().is_root() {
            eprintln!("faultd: it has to run as root");
        }
        ExitCode::FAILURE
    })
}
