//! `report` and `compare`: what is done with results that are there.

use std::{
    io::{IsTerminal, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;

use super::{USAGE, print, tell};
use crate::{
    compare::{self, CompareError},
    report,
    summary::Summary,
};

/// `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A result folder, or its summary.json
    result: PathBuf,
    /// Writes the HTML report there
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Writes JUnit XML there
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes Markdown there
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Writes the timeline as CSV there
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The result to compare with: a folder, or its summary.json
    baseline: PathBuf,
    /// The result that is judged
    current: PathBuf,
    /// Further runs of the baseline; with three on both sides noise is taken from run to run
    #[arg(long, value_name = "RESULT")]
    more_baseline: Vec<PathBuf>,
    /// Further runs of the current result
    #[arg(long, value_name = "RESULT")]
    more_current: Vec<PathBuf>,
    /// Changes below this many percent are no regression
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    threshold: f64,
    /// The comparison as JSON
    #[arg(long)]
    json: bool,
}

/// Whether standard output takes colours (<https://no-color.org>).
pub(super) fn colour() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    stdout().is_terminal() && !unwanted
}

/// Writes the reports that were asked for, or shows the result.
pub(super) fn report(args: &ReportArgs) -> Result<u8> {
    let summary = report::read(&args.result)?;
    let mut wrote = false;
    let mut write = |path: &Option<PathBuf>, text: &dyn Fn() -> Result<String>| -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        wrote = true;
        Ok(report::write(path, &text()?)?)
    };
    write(&args.html, &|| Ok(report::html(&summary)?))?;
    write(&args.junit, &|| Ok(report::junit(&summary)?))?;
    write(&args.markdown, &|| Ok(report::markdown(&summary)))?;
    write(&args.csv, &|| Ok(report::timeline_csv(&summary)))?;
    if !wrote {
        print(&report::terminal(&summary, colour()))?;
    }
    Ok(0)
}

/// Compares; the exit code says whether there is a regression.
pub(super) fn compare(args: &CompareArgs) -> Result<u8> {
    let baseline = all(&args.baseline, &args.more_baseline)?;
    let current = all(&args.current, &args.more_current)?;
    let options =
        compare::Options { threshold_percent: args.threshold, ..compare::Options::default() };
    let comparison = match compare::compare(&baseline, &current, &options) {
        Ok(comparison) => comparison,
        Err(error @ CompareError::Threshold(_)) => {
            tell(format_args!("error: {error}"));
            return Ok(USAGE);
        }
        Err(error) => return Err(error.into()),
    };
    let text = match args.json {
        true => serde_json::to_string_pretty(&comparison).context("the comparison")? + "\n",
        false => comparison.text(),
    };
    print(&text)?;
    Ok(comparison.exit_code())
}

fn all(first: &Path, more: &[PathBuf]) -> Result<Vec<Summary>> {
    let paths = std::iter::once(first).chain(more.iter().map(PathBuf::as_path));
    Ok(paths.map(report::read).collect::<Result<_, _>>()?)
}
