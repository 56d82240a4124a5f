//! Results for people and for programs, all drawn from a [`Summary`] and nothing else.
//!
//! | file | for |
//! |---|---|
//! | `summary.json` | programs: everything, stable ([`crate::scenario::summary_schema`]) |
//! | `timeline.csv` | spreadsheets: a row a second |
//! | `report.html` | colleagues: charts and tables in one file, no network |
//! | `report.md` | comments on a change |
//! | `junit.xml` | CI: a test case for each threshold and check |
//!
//! The tables of terminal, Markdown and HTML are the same ones ([`view`]).

mod csv;
mod html;
mod junit;
mod markdown;
mod read;
mod series;
mod terminal;
mod view;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use csv::timeline_csv;
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use read::{ReadError, is_result, read};
pub use terminal::terminal;

use crate::summary::Summary;

/// A report cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be written.
    #[error("cannot write {path}: {cause}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The result cannot be put into this form.
    #[error("cannot make {what}: {message}")]
    Form {
        /// Which form.
        what: &'static str,
        /// Why.
        message: String,
    },
}

/// `summary.json`, as text.
///
/// # Errors
/// If a figure is no number that JSON has.
pub fn json(summary: &Summary) -> Result<String, ReportError> {
    let text = serde_json::to_string_pretty(summary)
        .map_err(|e| ReportError::Form { what: "summary.json", message: e.to_string() })?;
    Ok(text + "\n")
}

/// Writes every report into `dir`, which is made if it is not there. Returns the files.
///
/// # Errors
/// The first file that cannot be written.
pub fn write_all(dir: &Path, summary: &Summary) -> Result<Vec<PathBuf>, ReportError> {
    fs::create_dir_all(dir).map_err(|cause| ReportError::Write { path: dir.to_owned(), cause })?;
    // The numbers first: should a later one fail, they are there.
    let reports = [
        ("summary.json", json(summary)?),
        ("timeline.csv", timeline_csv(summary)),
        ("junit.xml", junit(summary)?),
        ("report.md", markdown(summary)),
        ("report.html", html(summary)?),
    ];
    let mut paths = Vec::new();
    for (name, text) in reports {
        let path = dir.join(name);
        write(&path, &text)?;
        paths.push(path);
    }
    Ok(paths)
}

/// Writes one report.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), ReportError> {
    fs::write(path, text).map_err(|cause| ReportError::Write { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn everything_is_written_and_the_summary_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let summary = sample::summary();
        let files = write_all(&dir.path().join("new"), &summary).unwrap();
        assert_eq!(files.len(), 5);
        let back = read(&files[0]).unwrap();
        assert_eq!(back, read(&dir.path().join("new")).unwrap(), "the folder will do");
        // Figures may differ in their last bit; what is drawn from them does not.
        assert_eq!(terminal(&back, false), terminal(&summary, false));
        assert_eq!(timeline_csv(&back), timeline_csv(&summary));
        assert_eq!(back.total.latency.histogram, summary.total.latency.histogram);
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let error = write_all(Path::new("/proc/nosuch"), &sample::summary()).unwrap_err();
        assert!(error.to_string().starts_with("cannot write /proc/nosuch: "), "{error}");
    }
}
