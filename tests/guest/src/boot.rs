//! In the initramfs: load the drivers of the disks, mount them, make the first one the root.

use std::{
    fs::{self, File},
    os::fd::AsFd,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    unistd::{chdir, chroot},
};

/// The userland, opened as a snapshot, so that writes are lost at the end.
const ROOT_DISK: &str = "/dev/vda";
/// The build under test and the job.
const PAYLOAD_DISK: &str = "/dev/vdb";
/// The modules of the running kernel.
const MODULES_DISK: &str = "/dev/vdc";
const NEW_ROOT: &str = "/root";

/// Leaves the initramfs.
pub fn switch_root() -> Result<()> {
    mount_special("devtmpfs", "/dev")?;
    mount_special("proc", "/proc")?;
    load_modules().context("loading the modules of the initramfs")?;

    mount_disk(ROOT_DISK, NEW_ROOT, MsFlags::MS_NOATIME)?;
    let read_only = MsFlags::MS_RDONLY | MsFlags::MS_NOATIME;
    mount_disk(PAYLOAD_DISK, &format!("{NEW_ROOT}{}", faultd_guest::job::PAYLOAD), read_only)?;
    mount_disk(MODULES_DISK, &format!("{NEW_ROOT}/usr/lib/modules"), read_only)?;

    for dir in ["/dev", "/proc"] {
        move_mount(dir, &format!("{NEW_ROOT}{dir}"))?;
    }
    chdir(NEW_ROOT)?;
    move_mount(".", "/")?;
    chroot(".")?;
    chdir("/")?;
    Ok(())
}

/// `/modules/order` lists the files in an order in which every module finds what it needs.
fn load_modules() -> Result<()> {
    for name in fs::read_to_string("/modules/order")?.lines() {
        let file = File::open(Path::new("/modules").join(name)).context(name.to_owned())?;
        match finit_module(file.as_fd(), c"", ModuleInitFlags::empty()) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error).context(name.to_owned()),
        }
    }
    Ok(())
}

/// Mounts a disk that may take a moment to appear.
fn mount_disk(disk: &str, on: &str, flags: MsFlags) -> Result<()> {
    let patience = Instant::now() + Duration::from_secs(20);
    while !Path::new(disk).exists() {
        if Instant::now() > patience {
            bail!("{disk} did not appear");
        }
        thread::sleep(Duration::from_millis(10));
    }
    mount(Some(disk), on, Some("ext4"), flags, None::<&str>)
        .with_context(|| format!("{disk} on {on}"))
}

pub fn mount_special(kind: &str, on: &str) -> Result<()> {
    fs::create_dir_all(on).with_context(|| on.to_owned())?;
    mount(Some(kind), on, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("{kind} on {on}"))
}

fn move_mount(from: &str, to: &str) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .with_context(|| format!("moving {from} to {to}"))
}
