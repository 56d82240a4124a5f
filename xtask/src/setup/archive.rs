//! Packages of a suite that the machine itself does not use, through apt with a state of its own:
//! apt keeps verifying signatures, and the machine's lists stay as they are.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::sources::field;
use crate::cmd::{capture, command, run_quiet};

/// The parts of a kernel: image and modules in one package (older ones), or in several.
const KERNEL_PACKAGES: [&str; 3] = ["linux-image-", "linux-binary-", "linux-modules-"];

/// A private view of one suite.
pub struct Archive {
    dir: PathBuf,
    options: Vec<String>,
}

impl Archive {
    /// Downloads the suite's package list into `dir`.
    ///
    /// # Errors
    /// If the suite is not there, not signed by a key of `keyring`, or `dir` cannot be written.
    pub fn open(dir: &Path, uri: &str, suite: &str, keyring: Option<&str>) -> Result<Self> {
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(part)).with_context(|| dir.display().to_string())?;
        }
        let signed_by = keyring.map(|k| format!(" signed-by={k}")).unwrap_or_default();
        let list = dir.join("sources.list");
        fs::write(&list, format!("deb [arch=amd64{signed_by}] {uri} {suite} main\n"))?;
        let status = dir.join("status");
        fs::write(&status, "")?;
        let options = [
            format!("Dir::State={}", dir.join("state").display()),
            format!("Dir::State::status={}", status.display()),
            format!("Dir::Cache={}", dir.join("cache").display()),
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // Downloads as root otherwise complain that `_apt` cannot write to the directory.
            "APT::Sandbox::User=root".to_owned(),
            // A suite that cannot be had is a fact to report, not one to use stale lists for.
            "APT::Update::Error-Mode=any".to_owned(),
        ];
        let archive = Self { dir: dir.to_owned(), options: options.to_vec() };
        run_quiet(archive.apt("apt-get").args(["-qq", "update"]))
            .with_context(|| format!("suite {suite} is not available"))?;
        Ok(archive)
    }

    /// The packages that hold the kernel which the meta package `meta` stands for.
    ///
    /// # Errors
    /// If there is no such package.
    pub fn kernel_packages(&self, meta: &str) -> Result<BTreeSet<String>> {
        resolve(meta, |name| {
            capture(self.apt("apt-cache").args(["show", "--no-all-versions", name]))
        })
    }

    /// Downloads packages and unpacks them below `into`.
    ///
    /// # Errors
    /// If a download or unpacking fails.
    pub fn unpack(&self, packages: &BTreeSet<String>, into: &Path) -> Result<()> {
        let downloads = self.dir.join("downloads");
        fs::create_dir_all(&downloads)?;
        run_quiet(
            self.apt("apt-get").args(["-qq", "download"]).args(packages).current_dir(&downloads),
        )?;
        for entry in fs::read_dir(&downloads)? {
            let deb = entry?.path();
            run_quiet(Command::new("dpkg").arg("-x").arg(&deb).arg(into))?;
            fs::remove_file(&deb)?;
        }
        Ok(())
    }

    fn apt(&self, program: &str) -> Command {
        let mut apt = command(program, &[]);
        for option in &self.options {
            apt.args(["-o", option]);
        }
        apt
    }
}

/// Follows the dependencies from a meta package to the packages of the kernel itself.
/// `show` returns the stanza of a package.
fn resolve(meta: &str, show: impl Fn(&str) -> Result<String>) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut to_visit = vec![meta.to_owned()];
    let mut visited = BTreeSet::new();
    while let Some(package) = to_visit.pop() {
        if !visited.insert(package.clone()) {
            continue;
        }
        let stanza = show(&package)?;
        for dependency in dependencies(&stanza) {
            if KERNEL_PACKAGES.iter().any(|prefix| dependency.starts_with(prefix)) {
                found.insert(dependency.clone());
                to_visit.push(dependency);
            }
        }
    }
    if found.is_empty() {
        anyhow::bail!("package {meta} leads to no kernel");
    }
    Ok(found)
}

/// Names in the `Depends` field; of alternatives the first.
fn dependencies(stanza: &str) -> Vec<String> {
    let depends = field(stanza, "Depends").unwrap_or_default();
    depends
        .split(',')
        .filter_map(|clause| clause.split('|').next()?.split_whitespace().next())
        .map(|name| name.split(':').next().unwrap_or(name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_in(packages: &str, meta: &str) -> Result<BTreeSet<String>> {
        resolve(meta, |name| {
            packages
                .split("\n\n")
                .find(|stanza| field(stanza, "Package").as_deref() == Some(name))
                .map(str::to_owned)
                .context("no such package")
        })
    }

    #[test]
    fn one_package_kernel() {
        let packages = "Package: linux-image-cloud-amd64\n\
            Depends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)\n\n\
            Package: linux-image-6.1.0-50-cloud-amd64\n\
            Depends: kmod, linux-base (>= 4.3~), initramfs-tools | linux-initramfs-tool\n";
        let found = resolve_in(packages, "linux-image-cloud-amd64").unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["linux-image-6.1.0-50-cloud-amd64"]);
    }

    #[test]
    fn split_kernel() {
        let packages = "Package: meta\n\
            Depends: linux-base-cloud-amd64 (= 7), linux-image-7.2 (= 7)\n\n\
            Package: linux-image-7.2\n\
            Depends: dracut | initramfs-tools (>= 0.120), linux-binary-7.2 (= 7),\n \
            linux-modules-7.2:amd64 (= 7)\n\n\
            Package: linux-binary-7.2\nDepends: linux-base-7.2\n\n\
            Package: linux-modules-7.2\nDepends: linux-binary-7.2\n";
        let found = resolve_in(packages, "meta").unwrap();
        let names: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(names, ["linux-binary-7.2", "linux-image-7.2", "linux-modules-7.2"]);
    }

    #[test]
    fn a_meta_package_without_a_kernel_is_an_error() {
        assert!(resolve_in("Package: meta\nDepends: kmod\n", "meta").is_err());
        assert!(resolve_in("Package: other\n", "meta").is_err());
    }
}
