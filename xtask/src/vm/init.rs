//! The initramfs: the guest's init (linked statically, there are no libraries yet), the modules
//! that the disks need, and the job.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use faultd_guest::{Job, job::JOB_FILE};

use super::{cpio::Cpio, kernel::Kernel};
use crate::{cmd::run, paths::Paths};

/// Builds the guest's init and returns its path.
///
/// # Errors
/// If it does not build.
pub fn build(paths: &Paths) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    // A directory of its own: other flags would rebuild the workspace's dependencies each time.
    // The explicit target keeps the flags away from procedural macros, which cannot be static.
    let target_dir = paths.target.join("guest");
    let mut cargo = std::process::Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .args(["build", "--quiet", "--release", "--package", "faultd-guest", "--target", &target])
        .arg("--target-dir")
        .arg(&target_dir)
        .current_dir(&paths.root)
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static -Cstrip=symbols")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(&mut cargo)?;
    Ok(target_dir.join(target).join("release/faultd-guest"))
}

/// The initramfs for one boot.
///
/// # Errors
/// If a file of it cannot be read.
pub fn initramfs(init: &Path, kernel: &Kernel, job: &Job) -> Result<Vec<u8>> {
    let mut cpio = Cpio::new();
    for dir in ["dev", "proc", "root", "modules"] {
        cpio.directory(dir);
    }
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    cpio.file("init", &read(init)?);
    cpio.file(JOB_FILE.trim_start_matches('/'), &serde_json::to_vec(job)?);
    let modules = kernel.boot_modules();
    for entry in fs::read_dir(&modules).with_context(|| modules.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        cpio.file(&format!("modules/{}", name.to_string_lossy()), &read(&entry.path())?);
    }
    Ok(cpio.finish())
}
