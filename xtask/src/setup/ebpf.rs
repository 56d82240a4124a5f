//! The eBPF toolchain: see [`crate::toolchain`] for what is looked for, and in which order.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{State, Step, apt, rust::cargo_install};
use crate::{
    cmd::{capture, command, find_program, run_quiet},
    toolchain::{self, Places, Version, parse_version},
};

/// bpf-linker reads the bitcode of the compiler, so that its LLVM may be newer, but not older.
/// A distribution has at most a few versions beyond the compiler's.
const NEWER_LLVM: u32 = 3;

/// The compiler with its sources.
pub struct Compiler;

impl Step for Compiler {
    fn name(&self) -> String {
        "eBPF compiler".into()
    }

    fn check(&self) -> State {
        match toolchain::find_compiler(&Places::from_env()) {
            Ok(found) => State::Ready(format!("{} {}", found.origin, found.rustc().display())),
            Err(_) => State::Missing("a Rust compiler with rust-src".into()),
        }
    }

    fn install(&self) -> Result<()> {
        let mut tried = Vec::new();
        for attempt in attempts()? {
            println!("         {}", attempt.describe());
            match attempt.make() {
                Ok(()) => return Ok(()),
                Err(error) => tried.push(format!("{}: {error:#}", attempt.describe())),
            }
        }
        if tried.is_empty() {
            let (major, minor) = toolchain::OLDEST;
            bail!(
                "the apt sources have no Rust {major}.{minor} or newer (Debian stable has one \
                 among its security updates), and there is no rustup: add either"
            );
        }
        bail!("no way to get one worked:\n    {}", tried.join("\n    "))
    }
}

/// One way to a complete compiler.
#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    /// `rust-src` for a rustup toolchain that is there.
    Component { toolchain: String },
    /// A rustup toolchain that is not.
    Nightly,
    /// Packages of the distribution.
    Packages(Vec<String>),
}

impl Attempt {
    fn describe(&self) -> String {
        match self {
            Self::Component { toolchain } => {
                format!("rustup component add rust-src --toolchain {toolchain}")
            }
            Self::Nightly => {
                "rustup toolchain install nightly --profile minimal --component rust-src".into()
            }
            Self::Packages(packages) => format!("apt packages {}", packages.join(" ")),
        }
    }

    fn make(&self) -> Result<()> {
        match self {
            Self::Packages(packages) => apt::install(packages),
            rustup => {
                let line = rustup.describe();
                let words: Vec<_> = line.split(' ').collect();
                run_quiet(&mut command(words[0], &words[1..]))
            }
        }
    }
}

fn attempts() -> Result<Vec<Attempt>> {
    let toolchains = if find_program("rustup").is_some() {
        let list = capture(&mut command("rustup", &["toolchain", "list"]))?;
        let names = list.lines().filter_map(|l| l.split(' ').next()).map(str::to_owned);
        Some(names.collect::<Vec<_>>())
    } else {
        None
    };
    apt::refresh()?;
    let packages = distribution_packages(
        &apt::search(r"^rustc(-web|-1\.[0-9]+)?$")?,
        toolchain::OLDEST,
        apt::candidate,
    );
    Ok(plan(toolchains.as_deref(), packages))
}

/// Orders the ways: a nightly that is there, the distribution, the stable that is there, a nightly
/// that has to be downloaded as a whole.
fn plan(rustup: Option<&[String]>, packages: Option<Vec<String>>) -> Vec<Attempt> {
    let is_nightly = |name: &String| name.starts_with("nightly");
    let toolchains = rustup.unwrap_or_default().iter().cloned();
    let (nightly, stable): (Vec<_>, Vec<_>) = toolchains.partition(is_nightly);
    let component = |toolchain| Attempt::Component { toolchain };
    let mut attempts: Vec<_> = nightly.into_iter().take(1).map(component).collect();
    attempts.extend(packages.map(Attempt::Packages));
    attempts.extend(stable.into_iter().filter(|name| name.starts_with("stable")).map(component));
    if rustup.is_some() {
        attempts.push(Attempt::Nightly);
    }
    attempts
}

/// The newest of the distribution's compilers that is new enough, with cargo and the sources.
/// `compilers` are names of packages: `rustc`, `rustc-web` (Debian stable's newer one for
/// browsers), `rustc-1.NN` (Ubuntu).
fn distribution_packages(
    compilers: &[String],
    oldest: Version,
    candidate: impl Fn(&str) -> Option<String>,
) -> Option<Vec<String>> {
    let mut usable: Vec<_> = compilers
        .iter()
        .filter_map(|name| Some((parse_version(&candidate(name)?)?, name)))
        .filter(|(version, _)| *version >= oldest)
        .collect();
    usable.sort();
    usable
        .into_iter()
        .rev()
        .map(|(_, name)| {
            let flavour = name.trim_start_matches("rustc");
            vec![name.clone(), format!("cargo{flavour}"), format!("rust{flavour}-src")]
        })
        .find(|packages| packages.iter().all(|package| candidate(package).is_some()))
}

/// bpf-linker.
pub struct Linker;

impl Step for Linker {
    fn name(&self) -> String {
        "bpf-linker".into()
    }

    fn check(&self) -> State {
        match Places::from_env().linker() {
            Ok(path) => State::Ready(path.display().to_string()),
            Err(_) => State::Missing("links the eBPF programs".into()),
        }
    }

    fn install(&self) -> Result<()> {
        let compiler = toolchain::find_compiler(&Places::from_env())
            .context("its LLVM has to fit a compiler, and there is none")?;
        let verbose = capture(&mut command(compiler.rustc(), &["-vV"]))?;
        let wanted = llvm_major(&verbose).context("rustc does not tell its LLVM version")?;
        let llvm = (wanted..=wanted + NEWER_LLVM)
            .find(|v| llvm_prefix(*v).join("bin/llvm-config").is_file())
            .map_or_else(|| install_llvm(wanted), Ok)?;
        let feature = format!("llvm-{llvm}");
        cargo_install(
            "bpf-linker",
            &["--no-default-features", "--features", &feature],
            &[("LLVM_PREFIX", &llvm_prefix(llvm))],
        )
    }
}

fn install_llvm(wanted: u32) -> Result<u32> {
    apt::refresh()?;
    let available = (wanted..=wanted + NEWER_LLVM)
        .find(|v| apt::candidate(&format!("llvm-{v}-dev")).is_some())
        .with_context(|| {
            format!(
                "the apt sources have no llvm-{wanted}-dev or newer, which the compiler's LLVM \
                 needs: add the LLVM project's repository for this release"
            )
        })?;
    let mut packages: Vec<String> =
        ["zlib1g-dev", "libzstd-dev"].into_iter().map(str::to_owned).collect();
    packages.extend([format!("llvm-{available}-dev"), format!("libpolly-{available}-dev")]);
    apt::install(&packages)?;
    Ok(available)
}

fn llvm_prefix(major: u32) -> PathBuf {
    let root = env::var_os("LLVM_PREFIX_ROOT").unwrap_or("/usr/lib".into());
    Path::new(&root).join(format!("llvm-{major}"))
}

fn llvm_major(rustc_verbose: &str) -> Option<u32> {
    let version = rustc_verbose.lines().find_map(|l| l.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn debian_stable_takes_the_browsers_compiler() {
        let candidate = |name: &str| match name {
            "rustc" | "cargo" | "rust-src" => Some("1.63.0+dfsg1-2".to_owned()),
            "rustc-web" | "cargo-web" | "rust-web-src" => Some("1.96.0+dfsg1-1~deb12u2".to_owned()),
            _ => None,
        };
        let found = distribution_packages(&names(&["rustc", "rustc-web"]), (1, 95), candidate);
        assert_eq!(found.unwrap(), ["rustc-web", "cargo-web", "rust-web-src"]);
        assert_eq!(distribution_packages(&names(&["rustc"]), (1, 95), candidate), None);
    }

    #[test]
    fn ubuntu_takes_the_newest_numbered_one_that_has_sources() {
        let candidate = |name: &str| match name {
            "rustc-1.97" | "cargo-1.97" => Some("1.97.0".to_owned()),
            n if n.contains("1.96") => Some("1.96.0".to_owned()),
            n if n.contains("1.80") => Some("1.80.0".to_owned()),
            _ => None,
        };
        let compilers = names(&["rustc-1.80", "rustc-1.96", "rustc-1.97"]);
        let found = distribution_packages(&compilers, (1, 95), candidate).unwrap();
        assert_eq!(found, ["rustc-1.96", "cargo-1.96", "rust-1.96-src"]);
    }

    #[test]
    fn what_is_there_comes_before_what_has_to_be_downloaded() {
        let toolchains = names(&["stable-x", "nightly-x", "1.95.0-x"]);
        let attempts = plan(Some(&toolchains), Some(names(&["rustc-web"])));
        assert_eq!(
            attempts,
            [
                Attempt::Component { toolchain: "nightly-x".into() },
                Attempt::Packages(names(&["rustc-web"])),
                Attempt::Component { toolchain: "stable-x".into() },
                Attempt::Nightly,
            ]
        );
        assert_eq!(plan(None, None), []);
    }

    #[test]
    fn llvm_versions() {
        assert_eq!(llvm_major("rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.96.0"), None);
    }
}
