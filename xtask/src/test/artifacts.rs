//! Builds all test executables and the programs under test.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::libtest;
use crate::{
    binaries,
    cmd::{capture, command, line},
    paths::Paths,
};

/// Packages whose integration tests need root and a kernel of their own: the host and VM tiers.
const PRIVILEGED: [&str; 2] = ["faultd-tests", "faultd"];

/// What was built.
pub struct Artifacts {
    /// One executable for each crate's own tests.
    pub unit: Vec<Executable>,
    /// Executables of the host and VM tiers.
    pub privileged: Vec<Executable>,
    /// Programs under test.
    pub programs: Vec<PathBuf>,
}

/// A test executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// What its results are reported under.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Directory of its package, where cargo runs tests.
    pub dir: PathBuf,
}

impl Artifacts {
    /// Builds everything.
    ///
    /// # Errors
    /// If something does not build; the compiler has said why.
    pub fn build(paths: &Paths) -> Result<Self> {
        binaries::build(paths)?;
        let mut cargo = binaries::cargo(paths);
        cargo.args(["test", "--quiet", "--no-run", "--lib", "--bins", "--tests"]).args([
            "--features",
            "faultd/failpoints",
            "--message-format=json-render-diagnostics",
        ]);
        let output = cargo.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            bail!("`{}` failed", line(&cargo));
        }
        let (privileged, unit) = executables(&String::from_utf8_lossy(&output.stdout))
            .into_iter()
            .partition(|(_, privileged)| *privileged);
        // Faultload comes with its own tests, and with the features that they build it with.
        let programs = binaries::present(paths);
        let plain = |list: Vec<(Executable, bool)>| list.into_iter().map(|(e, _)| e).collect();
        Ok(Self { unit: plain(unit), privileged: plain(privileged), programs })
    }

    /// Path of a program under test.
    ///
    /// # Errors
    /// If it was not built.
    pub fn program(&self, name: &str) -> Result<&Path> {
        let found = self.programs.iter().find(|p| p.file_name().is_some_and(|n| n == name));
        found.map(PathBuf::as_path).with_context(|| format!("{name} was not built"))
    }
}

impl Executable {
    /// Its tests, without those that are `#[ignore]`d: helpers that a test starts, and benchmarks.
    ///
    /// # Errors
    /// If it does not run.
    pub fn tests(&self, filter: &str) -> Result<Vec<String>> {
        let list = |more: &[&str]| {
            capture(command(&self.path, &["--list", "--format", "terse"]).args(more))
        };
        let ignored = list(&["--ignored"])?;
        let ignored: Vec<_> = libtest::list(&ignored).collect();
        let tests = list(&[])?;
        Ok(libtest::list(&tests)
            .filter(|test| self.full_name(test).contains(filter) && !ignored.contains(test))
            .map(str::to_owned)
            .collect())
    }

    /// `executable::path::of::test`.
    pub fn full_name(&self, test: &str) -> String {
        format!("{}::{test}", self.name)
    }
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    executable: Option<PathBuf>,
    #[serde(default)]
    manifest_path: PathBuf,
    target: Option<Target>,
    profile: Option<Profile>,
    #[serde(default)]
    package_id: String,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// The test executables in cargo's JSON messages, and whether each is privileged.
fn executables(messages: &str) -> Vec<(Executable, bool)> {
    let mut found: Vec<_> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|m| m.reason == "compiler-artifact" && m.profile.as_ref().is_some_and(|p| p.test))
        .filter_map(|m| {
            let target = m.target?;
            let package = package_name(&m.package_id, &m.manifest_path);
            let is_integration = target.kind.iter().any(|k| k == "test");
            let is_privileged = is_integration && PRIVILEGED.contains(&package.as_str());
            let name = match (is_privileged, is_integration) {
                (true, _) => target.name,
                (false, true) => format!("{package}/{}", target.name),
                (false, false) => package,
            };
            let dir = m.manifest_path.parent()?.to_owned();
            Some((Executable { name, path: m.executable?, dir }, is_privileged))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    found
}

/// The name in `path+file:///x/dir#name@1.0` or `path+file:///x/name#1.0`
/// (the latter where the directory has the package's name).
fn package_name(id: &str, manifest: &Path) -> String {
    let fragment = id.rsplit('#').next().unwrap_or_default();
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => manifest
            .parent()
            .and_then(Path::file_name)
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, manifest: &str, kind: &str, name: &str, test: bool) -> String {
        serde_json::json!({
            "reason": "compiler-artifact", "package_id": id, "manifest_path": manifest,
            "target": {"kind": [kind], "name": name}, "profile": {"test": test},
            "executable": format!("/t/{name}"),
        })
        .to_string()
    }

    #[test]
    fn tiers_of_executables() {
        let messages = [
            message(
                "path+file:///w/tests#faultd-tests@0.1.0",
                "/w/tests/Cargo.toml",
                "test",
                "latency",
                true,
            ),
            message("path+file:///w/faultd#0.1.0", "/w/faultd/Cargo.toml", "lib", "faultd", true),
            message("path+file:///w/faultd#0.1.0", "/w/faultd/Cargo.toml", "bin", "faultd", false),
            message("path+file:///w/faultctl#0.1.0", "/w/faultctl/Cargo.toml", "test", "cli", true),
            "{\"reason\":\"build-finished\",\"success\":true}".to_owned(),
        ];
        let found = executables(&messages.join("\n"));
        let names: Vec<_> = found.iter().map(|(e, p)| (e.name.as_str(), *p)).collect();
        assert_eq!(names, [("faultctl/cli", false), ("faultd", false), ("latency", true)]);
        assert_eq!(found[2].0.dir, Path::new("/w/tests"));
    }
}
