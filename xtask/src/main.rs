//! The project's tasks: `cargo xtask setup|test|vm|lint|…`.

mod bench;
mod binaries;
mod cmd;
mod demo;
mod fuzz;
mod lint;
mod paths;
mod peers;
mod setup;
mod test;
mod tidy;
mod toolchain;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use paths::Paths;

/// Tasks of the faultd workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring what building and testing needs: toolchains, QEMU, kernels
    Setup {
        /// Report only
        #[arg(long)]
        check: bool,
        /// Look for newer kernels than those in the cache
        #[arg(long, conflicts_with = "check")]
        update: bool,
    },
    /// Run the tests: unit, host and vm tier
    Test(test::Args),
    /// Check formatting, lints and the rules of the repository
    Lint,
    /// Check the rules of the repository alone
    Tidy,
    /// Run every fuzz target for a while
    Fuzz(fuzz::Args),
    /// Measure what is promised, with release builds
    Bench(bench::Args),
    /// Show the main job: three faults on a real server, measured from outside
    Demo(demo::Args),
    /// Run a command in a guest, with the current build
    Vm(vm::cli::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let paths = Paths::find()?;
    match task {
        Task::Setup { check, update } => {
            setup::setup(&paths, setup::Options { check, update, quiet: false })?;
        }
        Task::Test(args) => return test::test(&paths, &args),
        Task::Lint => lint::lint(&paths)?,
        Task::Tidy => tidy::tidy(&paths)?,
        Task::Fuzz(args) => fuzz::fuzz(&paths, &args)?,
        Task::Bench(args) => return bench::bench(&paths, &args),
        Task::Demo(args) => return demo::demo(&paths, &args),
        Task::Vm(args) => return vm::cli::vm(&paths, &args),
    }
    Ok(ExitCode::SUCCESS)
}
