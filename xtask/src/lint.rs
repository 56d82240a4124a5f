//! `cargo xtask lint`: formatting, clippy, the eBPF programs on their own, and the repository's
//! rules.

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    binaries::cargo,
    cmd::{find_program, output, run},
    paths::Paths,
    tidy,
    toolchain::Toolchain,
};

/// Runs every check and reports the first that fails.
///
/// # Errors
/// What is wrong.
pub fn lint(paths: &Paths) -> Result<()> {
    tidy::tidy(paths)?;
    step("formatting");
    run(cargo(paths).args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`")?;
    step("clippy");
    // The features that the tests build with: code behind them is code too.
    let clippy = ["clippy", "--quiet", "--all-targets", "--features", "faultd/failpoints"];
    run(cargo(paths).args(clippy).args(["--", "-Dwarnings"]))?;
    step("eBPF programs");
    ebpf(paths)?;
    service(paths)
}

/// The systemd unit, by systemd's own judgement where there is one.
fn service(paths: &Paths) -> Result<()> {
    let Some(analyze) = find_program("systemd-analyze") else {
        step("systemd unit: left out, there is no systemd-analyze");
        return Ok(());
    };
    step("systemd unit");
    let text = fs::read_to_string(paths.root.join("packaging/faultd.service"))?;
    let dir = tempfile::tempdir()?;
    let unit = dir.path().join("faultd.service");
    // The program need not be installed; another stands in.
    fs::write(&unit, text.replace("/usr/sbin/faultd", "/bin/true"))?;
    let output = output(Command::new(analyze).args(["verify", "--man=no"]).arg(&unit))?;
    // What it does not understand is a warning, and ends with 0.
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || said.contains("faultd.service") {
        bail!("packaging/faultd.service: {}", said.trim_end());
    }
    Ok(())
}

/// The eBPF crate builds for another target with another compiler, which may lack clippy.
fn ebpf(paths: &Paths) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let has_clippy = toolchain.compiler.bin.join("cargo-clippy").is_file();
    let subcommand = if has_clippy { "clippy" } else { "check" };
    let target_dir = paths.target.join("ebpf-lint");
    let flags = [
        "-Dwarnings",
        // What is good style changes from one nightly to the next; what is wrong does not.
        "-Aclippy::all",
        "-Aclippy::needless_pass_by_value",
        "-Dclippy::correctness",
        "-Dclippy::suspicious",
    ];
    let mut cargo = toolchain.cargo(subcommand, &target_dir, &flags);
    run(cargo.args(["--quiet", "--bins"]).current_dir(&paths.root))
}

fn step(name: &str) {
    println!("lint: {name}");
}
