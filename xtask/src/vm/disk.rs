//! ext4 images made from a directory, without mounting anything.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use anyhow::{Context, Result};
use faultd_guest::Disk;

use crate::cmd::{command, find_program, run_quiet};

const MIB: u64 = 1024 * 1024;
/// A disk in memory (`qemu`) has to be a multiple of this: a subsection of the guest's memory map
/// (`SUBSECTION_SIZE`, include/linux/mmzone.h).
const STEP_MIB: u64 = 2;

/// Writes the image of `disk` with the content of `dir` and `spare_mib` MiB of free space.
///
/// # Errors
/// If the directory cannot be read or mke2fs fails.
pub fn from_dir(disk: Disk, dir: &Path, image: &Path, spare_mib: u64) -> Result<()> {
    let used = usage(dir)?;
    // Inode tables and directories take a share that grows with the content.
    let size_mib = (used / MIB * 11 / 10 + 24 + spare_mib).next_multiple_of(STEP_MIB);
    let mke2fs = find_program("mke2fs").context("mke2fs is missing: run `cargo xtask setup`")?;
    run_quiet(
        command(mke2fs, &["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0"])
            .args(["-L", disk.label(), "-d"])
            .arg(dir)
            .arg(image)
            .arg(format!("{size_mib}M")),
    )
}

/// Bytes that the files below `dir` take, each rounded up to a block and with its inode.
fn usage(dir: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let metadata = entry.path().symlink_metadata()?;
        total += metadata.size().next_multiple_of(4096) + 512;
        if metadata.is_dir() {
            total += usage(&entry.path())?;
        }
    }
    Ok(total)
}
