//! What builds the eBPF programs: a compiler that accepts `-Zbuild-std`, the sources of its
//! standard library, and bpf-linker.
//!
//! There is no pre-built `core` for `bpfel-unknown-none`, hence the need for sources and for
//! unstable flags. Three compilers can serve, the first complete one is taken:
//!
//! 1. a rustup nightly that has the `rust-src` component,
//! 2. the distribution's compiler with its source package (`RUSTC_BOOTSTRAP=1` unlocks the flags),
//! 3. the rustup stable with `rust-src`, likewise unlocked.
//!
//! This file is compiled twice, as a module of xtask and (by `#[path]`) of `faultd/build.rs`, so
//! that set-up and build can never disagree about what is missing. It needs the standard library
//! alone.

use std::{
    env,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Target triple of the eBPF programs. Little endian, as every host that faultd supports.
pub const TARGET: &str = "bpfel-unknown-none";

/// Where a compiler came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A rustup nightly.
    Nightly,
    /// The distribution's packages.
    Distribution,
    /// Another rustup toolchain, unlocked with `RUSTC_BOOTSTRAP=1`.
    Stable,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nightly => "rustup nightly",
            Self::Distribution => "distribution",
            Self::Stable => "rustup stable",
        })
    }
}

/// A compiler that can build `core` for the eBPF target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// Where it came from.
    pub origin: Origin,
    /// `bin` directory that holds both `rustc` and `cargo`.
    pub bin: PathBuf,
}

/// A compiler together with the linker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler.
    pub compiler: Compiler,
    /// Path of bpf-linker.
    pub linker: PathBuf,
}

/// What is not there. Its text is one sentence that names the command to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No compiler with sources.
    Compiler,
    /// No bpf-linker.
    Linker,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Compiler => "a Rust compiler with its library sources (rust-src)",
            Self::Linker => "bpf-linker",
        };
        write!(
            f,
            "the eBPF programs need {what}, which is not installed: run `cargo xtask setup` \
             (or set FAULTD_EBPF_OBJECT to a ready-made object)"
        )
    }
}

impl std::error::Error for Missing {}

/// `rustc --version` as (major, minor).
pub type Version = (u32, u32);

/// The oldest compiler that will do: the workspace's `rust-version`, which cargo enforces.
pub const OLDEST: Version = (1, 95);

/// The places that are searched, so that a test can point them elsewhere.
#[derive(Clone, Debug)]
pub struct Places {
    /// `RUSTUP_HOME`.
    pub rustup_home: PathBuf,
    /// Where `cargo install` puts programs, in `bin`; searched for bpf-linker even when it is not
    /// in `PATH`.
    pub install_root: PathBuf,
    /// `/usr`.
    pub usr: PathBuf,
    /// `PATH`.
    pub path: Vec<PathBuf>,
}

impl Places {
    /// Those of the running process.
    #[must_use]
    pub fn from_env() -> Self {
        let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
        let dir = |name: &str, default: &str| {
            env::var_os(name)
                .filter(|v| !v.is_empty())
                .map_or_else(|| home.join(default), PathBuf::from)
        };
        let cargo_home = dir("CARGO_HOME", ".cargo");
        Self {
            rustup_home: dir("RUSTUP_HOME", ".rustup"),
            install_root: env::var_os("CARGO_INSTALL_ROOT").map_or(cargo_home, PathBuf::from),
            usr: PathBuf::from("/usr"),
            path: env::var_os("PATH").map(|p| env::split_paths(&p).collect()).unwrap_or_default(),
        }
    }

    /// Every compiler whose sources are there, the preferred first.
    #[must_use]
    pub fn compilers(&self) -> Vec<Compiler> {
        let rustup = self.rustup_home.join("toolchains");
        let (nightly, stable): (Vec<_>, Vec<_>) =
            subdirs(&rustup).into_iter().partition(|dir| file_name(dir).starts_with("nightly"));
        // Ubuntu's `rustc-1.NN` packages live below /usr/lib/rust-1.NN.
        let versioned = subdirs(&self.usr.join("lib"))
            .into_iter()
            .filter(|dir| file_name(dir).starts_with("rust-1."));
        let distribution = versioned.chain([self.usr.clone()]);

        let nightly = nightly.into_iter().map(|root| (Origin::Nightly, root));
        let distribution = distribution.map(|root| (Origin::Distribution, root));
        let stable = stable.into_iter().map(|root| (Origin::Stable, root));
        nightly
            .chain(distribution)
            .chain(stable)
            .filter(|(_, root)| is_complete(root))
            .map(|(origin, root)| Compiler { origin, bin: root.join("bin") })
            .collect()
    }

    /// The first compiler that is complete and not older than `oldest`. `version` asks a `rustc`
    /// for its version.
    ///
    /// # Errors
    /// [`Missing::Compiler`] if there is none.
    pub fn compiler(
        &self,
        oldest: Version,
        version: impl Fn(&Path) -> Option<Version>,
    ) -> Result<Compiler, Missing> {
        self.compilers()
            .into_iter()
            .find(|c| version(&c.rustc()).is_some_and(|v| v >= oldest))
            .ok_or(Missing::Compiler)
    }

    /// Path of bpf-linker.
    ///
    /// # Errors
    /// [`Missing::Linker`] if it is neither there nor in `PATH`.
    pub fn linker(&self) -> Result<PathBuf, Missing> {
        [self.install_root.join("bin")]
            .iter()
            .chain(&self.path)
            .map(|dir| dir.join("bpf-linker"))
            .find(|path| path.is_file())
            .ok_or(Missing::Linker)
    }
}

impl Compiler {
    /// Path of `rustc`.
    #[must_use]
    pub fn rustc(&self) -> PathBuf {
        self.bin.join("rustc")
    }
}

impl Toolchain {
    /// Finds compiler and linker.
    ///
    /// # Errors
    /// What is missing.
    pub fn find() -> Result<Self, Missing> {
        let places = Places::from_env();
        Ok(Self { compiler: find_compiler(&places)?, linker: places.linker()? })
    }

    /// A cargo command (`build`, `clippy`, …) for the eBPF crate, its output below `target_dir`,
    /// with `flags` for the compiler.
    #[must_use]
    pub fn cargo(&self, subcommand: &str, target_dir: &Path, flags: &[&str]) -> Command {
        let cargo = self.compiler.bin.join("cargo");
        // Called by way of cargo, a subcommand of rustup's would come first: it picks another
        // toolchain, whose standard library has no sources.
        let own = self.compiler.bin.join(format!("cargo-{subcommand}"));
        let mut command = Command::new(if own.is_file() { &own } else { &cargo });
        command.arg(subcommand);
        // A parent cargo leaves its own compiler, wrapper, flags and profile in the environment;
        // none of them fits this target.
        for (name, _) in env::vars_os() {
            if is_of_parent_build(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        let mut linker = OsString::from("-Clinker=");
        linker.push(&self.linker);
        let mut all_flags = vec![
            // BTF maps need type information in the object, hence debug info in the bitcode.
            "-Cdebuginfo=2".into(),
            "-Clink-arg=--btf".into(),
            // Otherwise every memset is a call of a loop that stores byte by byte.
            "-Clink-arg=--disable-expand-memcpy-in-order".into(),
            // v3: 32-bit registers and jumps, and the atomics with a result (kernel 5.12).
            "-Ctarget-cpu=v3".into(),
            // aya-ebpf picks the layout of pt_regs by the architecture of the host.
            OsString::from(format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH)),
            linker,
        ];
        all_flags.extend(flags.iter().map(OsString::from));
        command
            .args(["-Zbuild-std=core", "--target", TARGET, "--package", "faultd-ebpf", "--release"])
            .arg("--target-dir")
            .arg(target_dir)
            .env("CARGO", cargo)
            .env("RUSTC", self.compiler.rustc())
            // Empty, not unset: it also overrides a wrapper from a cargo configuration file.
            .env("RUSTC_WRAPPER", "")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", all_flags.join(&OsString::from("\x1f")))
            // The workspace's release profile is made for the daemon.
            .env("CARGO_PROFILE_RELEASE_LTO", "false")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
            // Build scripts run once and are not debugged.
            .env("CARGO_PROFILE_RELEASE_BUILD_OVERRIDE_DEBUG", "false");
        command
    }
}

/// The first complete compiler that the workspace's `rust-version` allows.
///
/// # Errors
/// [`Missing::Compiler`] if there is none.
pub fn find_compiler(places: &Places) -> Result<Compiler, Missing> {
    places.compiler(OLDEST, ask_version)
}

/// Whether a variable was set by (or for) the cargo that runs us, and would mislead the one we run.
/// Where to find registries, the network and the job server stays.
fn is_of_parent_build(name: &str) -> bool {
    const KEPT: [&str; 6] = [
        "CARGO_HOME",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_TERM_",
    ];
    const DROPPED: [&str; 3] = ["CARGO_", "RUSTC", "RUSTDOC"];
    const DROPPED_EXACT: [&str; 6] =
        ["CARGO", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "TARGET", "OUT_DIR", "LD_LIBRARY_PATH"];
    if KEPT.iter().any(|prefix| name.starts_with(prefix)) {
        return false;
    }
    DROPPED_EXACT.contains(&name) || DROPPED.iter().any(|prefix| name.starts_with(prefix))
}

/// The version in the output of `rustc --version`, or in a bare `1.95`.
#[must_use]
pub fn parse_version(text: &str) -> Option<Version> {
    let number = text.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = number.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn ask_version(rustc: &Path) -> Option<Version> {
    let output =
        Command::new(rustc).arg("--version").env_remove("RUSTUP_TOOLCHAIN").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

fn is_complete(root: &Path) -> bool {
    ["bin/rustc", "bin/cargo", "lib/rustlib/src/rust/library/core/src/lib.rs"]
        .iter()
        .all(|file| root.join(file).is_file())
}

/// Directories below `dir`, the newest version first as far as the name tells.
fn subdirs(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut dirs: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    dirs.sort_by(|a, b| b.cmp(a));
    dirs
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(root: &Path, sources: bool) {
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/rustc"), "").unwrap();
        fs::write(root.join("bin/cargo"), "").unwrap();
        if sources {
            let core = root.join("lib/rustlib/src/rust/library/core/src");
            fs::create_dir_all(&core).unwrap();
            fs::write(core.join("lib.rs"), "").unwrap();
        }
    }

    fn places(root: &Path) -> Places {
        Places {
            rustup_home: root.join("rustup"),
            install_root: root.join("cargo"),
            usr: root.join("usr"),
            path: vec![root.join("path")],
        }
    }

    #[test]
    fn a_nightly_without_sources_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        install(&places.rustup_home.join("toolchains/nightly-x86_64"), false);
        install(&places.rustup_home.join("toolchains/stable-x86_64"), true);
        assert_eq!(places.compiler((1, 95), |_| Some((1, 95))).unwrap().origin, Origin::Stable);
        install(&places.usr, true);
        let found = places.compiler((1, 95), |_| Some((1, 95))).unwrap();
        assert_eq!(found.origin, Origin::Distribution);
        assert_eq!(found.rustc(), places.usr.join("bin/rustc"));
        install(&places.rustup_home.join("toolchains/nightly-x86_64"), true);
        assert_eq!(places.compiler((1, 95), |_| Some((1, 96))).unwrap().origin, Origin::Nightly);
    }

    #[test]
    fn a_compiler_that_is_too_old_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        install(&places.usr, true);
        install(&places.usr.join("lib/rust-1.96"), true);
        let version = |rustc: &Path| {
            Some(if rustc.to_string_lossy().contains("1.96") { (1, 96) } else { (1, 63) })
        };
        let found = places.compiler((1, 95), version).unwrap();
        assert_eq!(found.bin, places.usr.join("lib/rust-1.96/bin"));
        assert_eq!(places.compiler((1, 97), version), Err(Missing::Compiler));
    }

    #[test]
    fn the_linker_is_found_outside_of_path_too() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        assert_eq!(places.linker(), Err(Missing::Linker));
        fs::create_dir_all(places.install_root.join("bin")).unwrap();
        fs::write(places.install_root.join("bin/bpf-linker"), "").unwrap();
        assert_eq!(places.linker().unwrap(), places.install_root.join("bin/bpf-linker"));
    }

    #[test]
    fn what_is_missing_is_said_in_one_line_with_the_command() {
        for missing in [Missing::Compiler, Missing::Linker] {
            let text = missing.to_string();
            assert!(text.contains("`cargo xtask setup`") && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn versions() {
        assert_eq!(parse_version(env!("CARGO_PKG_RUST_VERSION")), Some(OLDEST));
        assert_eq!(parse_version("rustc 1.96.0 (ac68faa20 2026-05-25)"), Some((1, 96)));
        assert_eq!(parse_version("rustc 1.97.0-nightly (e50aa6fba 2026-05-19)"), Some((1, 97)));
        assert_eq!(parse_version("1.95"), Some((1, 95)));
        assert_eq!(parse_version("none"), None);
    }

    #[test]
    fn the_parents_build_does_not_leak() {
        for name in
            ["RUSTC_WRAPPER", "CARGO_ENCODED_RUSTFLAGS", "RUSTUP_TOOLCHAIN", "CARGO_FEATURE_X"]
        {
            assert!(is_of_parent_build(name), "{name}");
        }
        for name in ["CARGO_HOME", "PATH", "CARGO_NET_OFFLINE", "CARGO_MAKEFLAGS"] {
            assert!(!is_of_parent_build(name), "{name}");
        }
    }
}
