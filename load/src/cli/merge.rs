//! `merge`: results of processes that ran side by side, as one.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::{Usage, out, print, result::colour};
use crate::{
    compare, report,
    summary::{Summary, merged},
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
    distinct(args)?;
    // The parts may lie in it.
    out::given(&args.out, &args.results)?;
    let mut summary = merged(first, others)?;
    for other in others {
        let of = |part| std::slice::from_ref(part);
        let mut warnings = compare::warnings(of(first), of(other));
        warnings.extend(apart(first, other));
        summary.fitness.warnings.extend(warnings);
    }
    summary.fitness.warnings.dedup();
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

/// Refuses a part that is named twice, or that the sum would overwrite.
fn distinct(args: &MergeArgs) -> Result<()> {
    let mut seen = Vec::new();
    let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let out = place(&args.out);
    for part in &args.results {
        let found = place(part);
        if found == out || found == out.join("summary.json") {
            let message =
                format!("{}: --out would overwrite it: name another folder", part.display());
            return Err(Usage(message).into());
        }
        if seen.contains(&found) {
            return Err(Usage(format!("{}: it is named twice", part.display())).into());
        }
        seen.push(found);
    }
    Ok(())
}

/// What speaks against two parts having run side by side.
fn apart(first: &Summary, other: &Summary) -> Option<String> {
    let time = |part: &Summary| part.started_at.parse::<jiff::Timestamp>().ok();
    let between = time(other)?.duration_since(time(first)?).as_secs_f64().abs();
    (between > 1.0_f64.max(0.05 * first.duration_s)).then(|| {
        format!("parts began {between:.1} s apart: rates and the timeline add up as if together")
    })
}
