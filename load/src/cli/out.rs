//! The folder for results.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::Usage;
use crate::report;

/// A folder below `results/` that nobody else has: of two runs that start in the same second one
/// has a `-2` at its end.
pub(super) fn fresh(name: &str) -> Result<PathBuf> {
    let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let results = Path::new("results");
    fs::create_dir_all(results).with_context(|| format!("cannot make {}", results.display()))?;
    let dir = results.join(format!("{now}-{name}"));
    exclusive(&dir).with_context(|| format!("cannot make {}", dir.display()))
}

fn exclusive(dir: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let dir = match number {
            1 => dir.to_owned(),
            number => {
                let mut numbered = dir.as_os_str().to_owned();
                numbered.push(format!("-{number}"));
                numbered.into()
            }
        };
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(e),
        }
    }
}

/// The folder that was asked for. It may hold an earlier result, which is overwritten, and files
/// in `own`, which this run is about to write; anything else is somebody's.
pub(super) fn given(dir: &Path, own: &[PathBuf]) -> Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let foreign = entries.flatten().find(|entry| !own.contains(&entry.path()));
    let Some(foreign) = foreign else { return Ok(dir.to_owned()) };
    if report::is_result(dir) {
        return Ok(dir.to_owned());
    }
    let message = format!(
        "--out {}: the folder is no result of faultload and not empty (it has {}): name another one",
        dir.display(),
        foreign.file_name().to_string_lossy()
    );
    Err(Usage(message).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn no_two_runs_have_the_same_folder() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("run");
        let made: Vec<_> = (0..3).map(|_| exclusive(&wanted).unwrap()).collect();
        let named = |name: &str| dir.path().join(name);
        assert_eq!(made, [named("run"), named("run-2"), named("run-3")]);
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        assert!(given(&at.join("new"), &[]).is_ok());
        let raw = at.join("new/raw.csv");
        fs::write(&raw, "").unwrap();
        assert!(given(&at.join("new"), &[raw]).is_ok(), "its own samples");
        let refused = given(&at.join("new"), &[]).unwrap_err();
        assert!(refused.is::<Usage>());
        assert!(refused.to_string().contains("not empty (it has raw.csv)"), "{refused}");
        report::write_all(&at.join("new"), &sample::summary()).unwrap();
        assert!(given(&at.join("new"), &[]).is_ok(), "an earlier result");
        fs::write(at.join("new/summary.json"), "{\"tool\": \"other\"}").unwrap();
        assert!(given(&at.join("new"), &[]).is_err());
    }
}
