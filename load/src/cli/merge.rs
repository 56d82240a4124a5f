//! `merge`: results of processes that ran side by side, as one.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{out, print, result::colour};
use crate::{
    report,
    summary::merged,
    threshold::{self, Threshold},
};

/// `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Result folders, or their summary.json: runs of one scenario that were started together
    #[arg(num_args = 2.., required = true)]
    results: Vec<PathBuf>,
    /// Folder for the result of all: a new or empty one, or one with an earlier result, which is
    /// overwritten; the parts may lie in it
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// The result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Adds them up, judges the sum by their thresholds, and writes its reports; returns the exit code
/// of its verdict.
pub(super) fn merge(args: &MergeArgs) -> Result<u8> {
    let parts: Vec<_> =
        args.results.iter().map(|part| report::read(part)).collect::<Result<_, _>>()?;
    let Some((first, others)) = parts.split_first() else { return Ok(super::USAGE) };
    // The parts may lie in it.
    out::given(&args.out, &args.results)?;
    let mut summary = merged(first, others)?;
    let written: Vec<Threshold> =
        summary.thresholds.iter().filter_map(|t| t.expression.parse().ok()).collect();
    summary.thresholds.retain(|threshold| threshold.aborted);
    threshold::judge(&mut summary, &written);
    report::write_all(&args.out, &summary)?;
    if args.json {
        print(&report::json(&summary)?)?;
    } else {
        print(&report::terminal(&summary, colour()))?;
    }
    Ok(summary.verdict.exit_code)
}
