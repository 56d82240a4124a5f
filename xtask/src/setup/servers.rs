//! Servers that faultload is tested against: nginx, Redis and PostgreSQL.
//!
//! Their packages are unpacked into the build directory and not installed: an installed server is
//! started, and again at every boot. Tests start them with a configuration of their own. Programs
//! that the machine has anyway are taken as they are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{State, Step, apt};
use crate::{
    cmd::{capture, command, find_program, run_quiet},
    paths::Paths,
};

/// Program, and the package of Debian and Ubuntu that has it.
const SERVERS: [(&str, &str); 5] = [
    ("nginx", "nginx-light"),
    ("redis-server", "redis-server"),
    ("initdb", "postgresql"),
    ("postgres", "postgresql"),
    ("psql", "postgresql-client"),
];

/// Folders of programs below the root that packages are unpacked into, or `/`.
const FOLDERS: [&str; 2] = ["usr/sbin", "usr/bin"];

/// Folder of PostgreSQL, with one for each version in it.
const VERSIONS: &str = "usr/lib/postgresql";

/// All of them.
pub struct Servers {
    /// Where packages are unpacked.
    root: PathBuf,
}

impl Servers {
    /// Below the build directory, where tests look.
    pub fn new(paths: &Paths) -> Self {
        Self { root: paths.target.join("servers") }
    }

    fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let is_there = |program: &str| {
            find_program(program).is_some()
                || [self.root.as_path(), Path::new("/")]
                    .iter()
                    .any(|root| below(root, program).is_some())
        };
        SERVERS.into_iter().filter(|(program, _)| !is_there(program)).collect()
    }
}

/// A program in the folders of `root`.
fn below(root: &Path, program: &str) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    if let Ok(versions) = fs::read_dir(root.join(VERSIONS)) {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

impl Step for Servers {
    fn name(&self) -> String {
        "servers for tests".into()
    }

    fn check(&self) -> State {
        let missing = self.missing();
        if missing.is_empty() {
            return State::Ready("nginx, Redis, PostgreSQL".into());
        }
        State::Missing(missing.iter().map(|(program, _)| *program).collect::<Vec<_>>().join(", "))
    }

    fn install(&self) -> Result<()> {
        apt::refresh()?;
        let mut wanted: Vec<&str> = self.missing().iter().map(|(_, package)| *package).collect();
        wanted.dedup();
        // What would be installed: those packages, and what they need and this machine lacks.
        let plan = ["--simulate", "install", "--yes", "--no-install-recommends"];
        let plan = capture(command("apt-get", &plan).args(&wanted))?;
        let packages = to_install(&plan);
        fs::create_dir_all(&self.root)?;
        let work = tempfile::tempdir_in(&self.root)?;
        println!("         apt-get download {}", packages.join(" "));
        // Downloads as root otherwise complain that `_apt` cannot write to the directory.
        let mut download = command("apt-get", &["-qq", "-o", "APT::Sandbox::User=root"]);
        run_quiet(download.arg("download").args(&packages).current_dir(work.path()))?;
        for entry in fs::read_dir(work.path())? {
            let deb = entry?.path();
            run_quiet(command("dpkg", &["-x"]).arg(&deb).arg(&self.root))
                .with_context(|| deb.display().to_string())?;
        }
        Ok(())
    }
}

/// Names in what `apt-get --simulate install` prints: `Inst NAME (VERSION …)`.
fn to_install(plan: &str) -> Vec<&str> {
    let names = plan.lines().filter_map(|line| line.strip_prefix("Inst "));
    names.filter_map(|rest| rest.split_whitespace().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_installed_is_downloaded() {
        let plan = "Reading package lists...\nNOTE: This is only a simulation!\n\
            Inst libjemalloc2 (5.3.0-1 Debian:12.0/stable [amd64])\n\
            Inst postgresql [15+248] (15+249 Debian:12.0/stable [all])\n\
            Conf libjemalloc2 (5.3.0-1 Debian:12.0/stable [amd64])\n";
        assert_eq!(to_install(plan), ["libjemalloc2", "postgresql"]);
    }

    #[test]
    fn programs_are_found_where_packages_put_them() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("usr/lib/postgresql/17/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("initdb"), "").unwrap();
        assert_eq!(below(root.path(), "initdb"), Some(bin.join("initdb")));
        assert_eq!(below(root.path(), "nginx"), None);
    }
}
