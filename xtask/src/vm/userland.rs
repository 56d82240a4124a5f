//! The root disk: a small system of the host's own release, so that what was built here runs there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use faultd_guest::Disk;

use super::disk;
use crate::{
    cmd::{command, find_program, run_quiet},
    setup::sources::{Release, main_archive, of_this_machine},
};

/// What the tests and the demo use in a guest, on top of `minbase`.
const PACKAGES: [&str; 10] = [
    "curl",
    "ethtool",
    "iproute2",
    "iputils-ping",
    "kmod",
    "netcat-openbsd",
    "postgresql",
    "procps",
    "python3-minimal",
    "redis-server",
];

/// Free space on the root disk, which the tests may fill.
const SPARE_MIB: u64 = 512;

/// Path of the image: a change of release or packages is another image.
#[must_use]
pub fn image(cache: &Path, release: &Release) -> PathBuf {
    let tag = fingerprint(&format!("{PACKAGES:?} {SPARE_MIB} 4"));
    cache.join(format!("userland-{}-{tag:08x}.img", release.codename))
}

/// FNV-1a: the same in every build of this program, unlike the standard library's hasher.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The image of the running machine's release.
///
/// # Errors
/// If it was not made yet.
pub fn cached(cache: &Path) -> Result<PathBuf> {
    let image = image(cache, &Release::of_this_machine()?);
    if !image.is_file() {
        bail!("there is no userland image: run `cargo xtask setup`");
    }
    Ok(image)
}

/// Makes the image.
///
/// # Errors
/// If this is not root, the mirror is not reachable, or a tool fails.
pub fn make(cache: &Path) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("debootstrap needs root: run `cargo xtask setup` as root");
    }
    let release = Release::of_this_machine()?;
    let sources = of_this_machine();
    let source = main_archive(&sources, &release.codename)
        .with_context(|| format!("no apt source has the suite {}", release.codename))?;
    let debootstrap =
        find_program("debootstrap").context("debootstrap is missing: run `cargo xtask setup`")?;

    let stage = tempfile::tempdir_in(cache)?;
    let root = stage.path().join("root");
    let mut command = command(debootstrap, &["--variant=minbase"]);
    command.arg(format!("--include={}", PACKAGES.join(",")));
    if release.id == "ubuntu" {
        // Where it keeps Redis.
        command.arg("--components=main,universe");
    }
    if let Some(keyring) = &source.signed_by {
        command.arg(format!("--keyring={keyring}"));
    }
    run_quiet(command.arg(&release.codename).arg(&root).arg(&source.uri))?;
    finish(&root)?;

    let image = image(cache, &release);
    let unfinished = stage.path().join("image");
    disk::from_dir(Disk::Userland, &root, &unfinished, SPARE_MIB)?;
    fs::rename(&unfinished, &image)?;
    Ok(())
}

/// PostgreSQL's just-in-time compiler, which is off in the tests.
fn remove_llvm(dir: &Path) -> Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("libLLVM") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Mount points of the other disks, names, and no left-overs of the installation.
fn finish(root: &Path) -> Result<()> {
    for dir in ["faultd", "usr/lib/modules"] {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
    // A third of it is for people, and for a compiler of queries that no test needs.
    for dir in ["usr/share/doc", "usr/share/locale", "usr/share/man"] {
        fs::remove_dir_all(root.join(dir)).ok();
    }
    for entry in fs::read_dir(root.join("usr/lib"))?.flatten() {
        remove_llvm(&entry.path())?;
    }
    for dir in ["var/cache/apt/archives", "var/lib/apt/lists", "var/cache/debconf"] {
        fs::remove_dir_all(root.join(dir)).ok();
        fs::create_dir_all(root.join(dir))?;
    }
    Ok(())
}
