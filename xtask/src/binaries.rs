//! The programs under test.

use std::{env, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{cmd::run, paths::Paths};

/// Programs that the tests run.
const BINARIES: [&str; 3] = ["faultd", "faultctl", "faultload"];

/// Cargo, the same that runs this.
#[must_use]
pub fn cargo(paths: &Paths) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(&paths.root);
    cargo
}

/// Builds faultd (with its fail points) and faultctl, and returns the paths of what is there then.
///
/// # Errors
/// If they do not build.
pub fn build(paths: &Paths) -> Result<Vec<PathBuf>> {
    run(cargo(paths).args([
        "build",
        "--quiet",
        "--package",
        "faultd",
        "--package",
        "faultctl",
        "--features",
        "faultd/failpoints",
    ]))?;
    Ok(present(paths))
}

/// Those that are there already.
#[must_use]
pub fn present(paths: &Paths) -> Vec<PathBuf> {
    BINARIES
        .iter()
        .map(|name| paths.target.join("debug").join(name))
        .filter(|path| path.is_file())
        .collect()
}
