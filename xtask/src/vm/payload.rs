//! The payload disk: programs below `bin`, which is first in the guest's `PATH`, and files below
//! `files`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use faultd_guest::{Disk, job::PAYLOAD};
use tempfile::TempDir;

use super::disk;
use crate::cmd::{command, run_quiet};

/// What goes onto the disk.
pub struct Payload {
    dir: TempDir,
}

impl Payload {
    /// An empty payload. `scratch` is where it is put together.
    ///
    /// # Errors
    /// If `scratch` cannot be written.
    pub fn new(scratch: &Path) -> Result<Self> {
        fs::create_dir_all(scratch).with_context(|| scratch.display().to_string())?;
        let dir = tempfile::Builder::new().prefix("payload-").tempdir_in(scratch)?;
        for part in ["disk/bin", "disk/files"] {
            fs::create_dir_all(dir.path().join(part))?;
        }
        Ok(Self { dir })
    }

    /// Adds a program and returns its path in the guest. Debug information, most of its size,
    /// stays behind.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn program(&self, program: &Path) -> Result<String> {
        let name = name_of(program)?;
        let to = self.dir.path().join("disk/bin").join(&name);
        let mut strip = command("strip", &["--strip-debug", "-o"]);
        run_quiet(strip.arg(&to).arg(program))?;
        Ok(format!("{PAYLOAD}/bin/{name}"))
    }

    /// Adds a file or a directory and returns its path in the guest.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file(&self, file: &Path) -> Result<String> {
        let name = name_of(file)?;
        let to = self.dir.path().join("disk/files");
        run_quiet(command("cp", &["-aL", "--"]).arg(file).arg(&to))?;
        Ok(format!("{PAYLOAD}/files/{name}"))
    }

    /// Writes the disk.
    ///
    /// # Errors
    /// If mke2fs fails.
    pub fn image(&self) -> Result<PathBuf> {
        let image = self.dir.path().join("payload.img");
        disk::from_dir(Disk::Payload, &self.dir.path().join("disk"), &image, 0)?;
        Ok(image)
    }
}

fn name_of(path: &Path) -> Result<String> {
    let path = path.canonicalize().with_context(|| path.display().to_string())?;
    let name = path.file_name().context("the file has no name")?;
    Ok(name.to_string_lossy().into_owned())
}
