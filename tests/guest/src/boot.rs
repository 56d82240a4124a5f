//! In the initramfs: load the drivers of the disks, mount them, make the first one the root.

use std::{
    fs::{self, File},
    os::fd::AsFd,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use faultd_guest::{Disk, job::PAYLOAD};
use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    unistd::{chdir, chroot},
};

/// Names that the disks may have, in memory and on the bus.
const DEVICES: [&str; 6] =
    ["/dev/pmem0", "/dev/pmem1", "/dev/pmem2", "/dev/vda", "/dev/vdb", "/dev/vdc"];
/// How long they may take to appear.
const PATIENCE: Duration = Duration::from_secs(20);
const NEW_ROOT: &str = "/root";

/// Leaves the initramfs.
pub fn switch_root() -> Result<()> {
    mount_special("devtmpfs", "/dev")?;
    mount_special("proc", "/proc")?;
    load_modules().context("loading the modules of the initramfs")?;

    let read_only = MsFlags::MS_RDONLY | MsFlags::MS_NOATIME;
    mount_disk(Disk::Userland, NEW_ROOT, MsFlags::MS_NOATIME)?;
    mount_disk(Disk::Payload, &format!("{NEW_ROOT}{PAYLOAD}"), read_only)?;
    mount_disk(Disk::Modules, &format!("{NEW_ROOT}/usr/lib/modules"), read_only)?;

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

fn mount_disk(disk: Disk, on: &str, flags: MsFlags) -> Result<()> {
    let device = wait_for(disk)?;
    mount(Some(device), on, Some("ext4"), flags, None::<&str>)
        .with_context(|| format!("{device} on {on}"))
}

fn wait_for(disk: Disk) -> Result<&'static str> {
    let end = Instant::now() + PATIENCE;
    loop {
        // One that is not there, or not yet, is not the one.
        let found = DEVICES.into_iter().find(|d| disk.is(Path::new(d)).unwrap_or(false));
        if let Some(device) = found {
            return Ok(device);
        }
        if Instant::now() > end {
            bail!("the {} disk did not appear", disk.label());
        }
        thread::sleep(Duration::from_millis(10));
    }
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
