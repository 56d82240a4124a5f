//! Rust tools of the running toolchain.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{State, Step};
use crate::{
    cmd::{command, run, run_quiet},
    toolchain::Places,
};

/// A rustup component that comes with the default profile, and not with the minimal one.
pub struct Component {
    /// Program that it brings.
    pub binary: &'static str,
    /// Its name.
    pub component: &'static str,
}

impl Step for Component {
    fn name(&self) -> String {
        self.component.into()
    }

    fn check(&self) -> State {
        // The rustup proxies exist whether the component does or not; beside the compiler lies
        // the program itself.
        match bin_of_running_toolchain().map(|bin| bin.join(self.binary)) {
            Some(path) if path.is_file() => State::Ready(path.display().to_string()),
            _ => State::Missing(format!("the {} component", self.component)),
        }
    }

    fn install(&self) -> Result<()> {
        run_quiet(&mut command("rustup", &["component", "add", self.component]))
    }
}

/// Runs the fuzz targets.
pub struct CargoFuzz;

impl Step for CargoFuzz {
    fn name(&self) -> String {
        "cargo-fuzz".into()
    }

    fn check(&self) -> State {
        let places = Places::from_env();
        let mut dirs = vec![places.install_root.join("bin")];
        dirs.extend(places.path);
        match dirs.into_iter().map(|dir| dir.join("cargo-fuzz")).find(|p| p.is_file()) {
            Some(path) => State::Ready(path.display().to_string()),
            None => State::Missing("runs the fuzz targets".into()),
        }
    }

    fn install(&self) -> Result<()> {
        cargo_install("cargo-fuzz", &[], &[])
    }
}

/// `cargo install` of the newest version, with the toolchain that runs this.
///
/// # Errors
/// If it does not build.
pub fn cargo_install(krate: &str, args: &[&str], env: &[(&str, &Path)]) -> Result<()> {
    let mut cargo = command(env::var_os("CARGO").unwrap_or("cargo".into()), &["install", krate]);
    cargo.args(["--locked", "--quiet"]).args(args);
    println!("         {}", crate::cmd::line(&cargo));
    for (name, value) in env {
        cargo.env(name, value);
    }
    // What the developer set for the workspace must not redirect the tool's build.
    cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    run(&mut cargo).with_context(|| format!("installing {krate}"))
}

fn bin_of_running_toolchain() -> Option<PathBuf> {
    Path::new(&env::var_os("CARGO")?).canonicalize().ok()?.parent().map(Path::to_owned)
}
