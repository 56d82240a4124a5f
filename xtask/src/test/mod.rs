//! `cargo xtask test`: the tiers, one after the other, with one result for each test.
//!
//! - *unit*: the tests of every crate, no root needed; one process for each crate.
//! - *host*: the privileged tests on the running kernel; one process for each test, so that one
//!   that crashes or hangs does not take others along.
//! - *vm*: the same executables in a guest of each kernel of the matrix.
//!
//! An `#[ignore]`d test is none: it is a helper that another test starts, or a benchmark, and
//! `cargo xtask tidy` wants its reason. A unit test that skips itself for want of something in the running kernel is run again in the
//! guests. A tier that cannot run and a test that skips itself are results too: they are shown, counted,
//! and with `--deny-skips` they fail the run.

mod artifacts;
mod guests;
mod host;
mod libtest;
mod report;
mod unit;

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use crate::{paths::Paths, setup};
use artifacts::Artifacts;
use report::Report;

/// A class of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Tests of single crates
    Unit,
    /// Privileged tests on the running kernel
    Host,
    /// The same in guests
    Vm,
}

/// What to run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which tiers (all)
    #[arg(long, value_enum, value_delimiter = ',')]
    tier: Vec<Tier>,
    /// Kernel of the vm tier: 6.1, 6.12, newest, stock or all
    #[arg(long, default_value = "all")]
    kernel: String,
    /// Only tests whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
    /// Count a skip as a failure (so does CI=true in the environment)
    #[arg(long)]
    deny_skips: bool,
    /// Do not look at what is installed first
    #[arg(long)]
    no_setup: bool,
}

impl Args {
    fn has(&self, tier: Tier) -> bool {
        self.tier.is_empty() || self.tier.contains(&tier)
    }

    fn deny_skips(&self) -> bool {
        self.deny_skips || std::env::var("CI").is_ok_and(|v| v == "true" || v == "1")
    }
}

/// Runs the tiers and reports.
///
/// # Errors
/// If the tests do not build or the report cannot be written. Failing tests are an exit code.
pub fn test(paths: &Paths, args: &Args) -> Result<ExitCode> {
    if !args.no_setup {
        let quietly = setup::Options { quiet: true, ..Default::default() };
        if let Err(error) = setup::setup(paths, quietly) {
            // What can run without it does; what cannot says so below.
            eprintln!("warning: {error:#}");
        }
    }
    let artifacts = Artifacts::build(paths)?;
    let mut report = Report::new();
    let mut left = Vec::new();
    if args.has(Tier::Unit) {
        left = unit::run(paths, &artifacts, &args.filter, &mut report)?;
    }
    if args.has(Tier::Host) {
        host::run(&artifacts, &args.filter, &mut report)?;
    }
    if args.has(Tier::Vm) {
        guests::run(paths, &artifacts, &left, &args.kernel, &args.filter, &mut report)?;
    }
    report.finish(&paths.target.join("test-results.json"), args.deny_skips())
}
