//! Results that were written before.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::summary::{Summary, VERSION};

/// A result cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its file cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It is no result.
    #[error("{path} is no summary.json of faultload: {message}")]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// Reads a `summary.json`, or the one in a result folder.
///
/// # Errors
/// If it cannot be read, or is of another version.
pub fn read(path: &Path) -> Result<Summary, ReadError> {
    let path = if path.is_dir() { path.join("summary.json") } else { path.to_owned() };
    let text = fs::read(&path).map_err(|cause| ReadError::Read { path: path.clone(), cause })?;
    let wrong = |message: String| ReadError::Format { path: path.clone(), message };
    let summary: Summary = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    if summary.version != VERSION {
        let found = summary.version;
        return Err(wrong(format!("it has version {found} of the format, this is {VERSION}")));
    }
    Ok(summary)
}

/// Whether a folder holds a result of faultload, of whatever version.
#[must_use]
pub fn is_result(dir: &Path) -> bool {
    #[derive(serde::Deserialize)]
    struct Made {
        tool: String,
    }
    let text = fs::read(dir.join("summary.json")).unwrap_or_default();
    serde_json::from_slice::<Made>(&text).is_ok_and(|made| made.tool.starts_with("faultload"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report, sample};

    #[test]
    fn what_is_no_result_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.json");
        let error = |text: &str| {
            fs::write(&path, text).unwrap();
            read(&path).unwrap_err().to_string()
        };
        assert!(error("{}").contains("is no summary.json of faultload: missing field"));
        assert!(error("nonsense").contains("is no summary.json of faultload: expected"));
        let newer = Summary { version: 2, ..sample::summary() };
        let text = report::json(&newer).unwrap();
        assert!(error(&text).ends_with("it has version 2 of the format, this is 1"));
        assert!(
            read(Path::new("/nonexistent")).unwrap_err().to_string().starts_with("cannot read")
        );
    }
}
