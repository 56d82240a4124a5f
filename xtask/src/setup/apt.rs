//! The machine's own package manager.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, time::Duration};

use anyhow::{Result, bail};

use super::sources::field;
use crate::cmd::{capture, command, run_quiet};

/// Package lists older than this are refreshed before something is installed from them: the
/// archive no longer has the versions of a list from last week.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Installs packages, their lists refreshed first where needed.
///
/// # Errors
/// If this is not root (the text names the command to run), or apt fails.
pub fn install(packages: &[String]) -> Result<()> {
    insist_on_root(packages)?;
    refresh()?;
    println!("         apt-get install {}", packages.join(" "));
    run_quiet(apt_get(&["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// Installs packages, and what they need, from a suite that is not among the machine's sources.
/// `list` is its line of sources.list(5). The sources stay as they are.
///
/// # Errors
/// As [`install`]; also if there is no such suite.
pub fn install_from(list: &str, suite: &str, packages: &[String]) -> Result<()> {
    insist_on_root(packages)?;
    // The machine's own sources, and one more.
    let parts = tempfile::tempdir()?;
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        for entry in entries.flatten() {
            std::os::unix::fs::symlink(entry.path(), parts.path().join(entry.file_name()))?;
        }
    }
    fs::write(parts.path().join("faultd.list"), list)?;
    // apt reads the lists as a user of its own.
    fs::set_permissions(parts.path(), fs::Permissions::from_mode(0o755))?;
    let with_parts = format!("Dir::Etc::sourceparts={}", parts.path().display());
    let apt = |args: &[&str]| {
        let mut apt = apt_get(&["-o", &with_parts]);
        apt.args(args);
        apt
    };
    println!("         apt-get update, with {suite}");
    run_quiet(&mut apt(&["-qq", "update"]))?;
    println!("         apt-get install --target-release {suite} {}", packages.join(" "));
    let install = ["install", "--yes", "--no-install-recommends", "--target-release", suite];
    run_quiet(apt(&install).args(packages))
}

/// Refreshes the package lists unless they are recent.
///
/// # Errors
/// If apt fails.
pub fn refresh() -> Result<()> {
    if !nix::unistd::geteuid().is_root() || lists_are_fresh() {
        return Ok(());
    }
    println!("         apt-get update");
    run_quiet(&mut apt_get(&["-qq", "update"]))
}

/// The version of a package that would be installed, as `apt-cache` shows it.
#[must_use]
pub fn candidate(package: &str) -> Option<String> {
    let shown = capture(&mut command("apt-cache", &["show", "--no-all-versions", package])).ok()?;
    field(&shown, "Version")
}

/// Names of packages that match a regular expression.
///
/// # Errors
/// If apt fails.
pub fn search(regex: &str) -> Result<Vec<String>> {
    let found = capture(&mut command("apt-cache", &["search", "--names-only", regex]))?;
    Ok(found.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect())
}

fn insist_on_root(packages: &[String]) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("needs root: sudo apt-get install -y {}", packages.join(" "));
    }
    Ok(())
}

fn apt_get(args: &[&str]) -> Command {
    let mut apt = command("apt-get", args);
    // Another apt (unattended upgrades of a fresh machine) may hold the lock for a while.
    apt.args(["-o", "DPkg::Lock::Timeout=300"]).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn lists_are_fresh() -> bool {
    let Ok(entries) = fs::read_dir("/var/lib/apt/lists") else { return false };
    entries.flatten().filter(|e| e.file_name().to_string_lossy().contains("_Packages")).any(|e| {
        // The file keeps the archive's date; its inode change is when it was fetched.
        use std::os::unix::fs::MetadataExt;
        e.metadata().is_ok_and(|m| age_of(m.ctime()) < STALE)
    })
}

fn age_of(unix_seconds: i64) -> Duration {
    let then = Duration::from_secs(u64::try_from(unix_seconds).unwrap_or(0));
    std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(Duration::ZERO, |now| now.saturating_sub(then))
}
