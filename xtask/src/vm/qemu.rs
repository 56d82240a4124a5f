//! The command line of QEMU.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::{accel::Accel, kernel::Kernel};

/// Of each guest.
const MEMORY: &str = "2G";

/// The files of one boot.
pub struct Disks<'a> {
    /// Initramfs of this boot.
    pub initramfs: &'a Path,
    /// Root disk; never written.
    pub userland: &'a Path,
    /// Programs and files.
    pub payload: &'a Path,
    /// Where the console goes.
    pub console: &'a Path,
}

/// QEMU, ready to start; its standard output is the port of results.
///
/// # Errors
/// If an image cannot be looked at.
pub fn command(accel: Accel, kernel: &Kernel, disks: &Disks<'_>) -> Result<Command> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        // Without it a boot ROM waits for a network.
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        // A reset (also after a panic) ends QEMU.
        "-no-reboot",
    ]);
    // An oops is a panic: what runs after one proves nothing.
    let append = "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic mitigations=off net.ifnames=0";
    qemu.args(["-append", &format!("{append}{}", accel.kernel_arguments())]);
    qemu.args(accel.arguments());
    qemu.arg("-kernel").arg(kernel.vmlinuz()).arg("-initrd").arg(disks.initramfs);
    let images = [disks.userland, disks.payload, &kernel.modules_image()];
    match accel {
        Accel::Kvm => on_the_bus(&mut qemu, images),
        Accel::Tcg { .. } => in_memory(&mut qemu, images)?,
    }
    let console = escape(&disks.console.display().to_string());
    qemu.args([
        "-chardev",
        &format!("file,id=console,path={console}"),
        "-serial",
        "chardev:console",
    ]);
    qemu.args(["-chardev", "stdio,id=results,signal=off", "-serial", "chardev:results"]);
    qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(qemu)
}

/// As virtio disks.
fn on_the_bus(qemu: &mut Command, images: [&Path; 3]) {
    qemu.args(["-m", MEMORY]);
    for (image, mode) in images.into_iter().zip(["snapshot=on", "readonly=on", "readonly=on"]) {
        let file = escape(&image.display().to_string());
        qemu.args(["-drive", &format!("file={file},format=raw,if=virtio,{mode}")]);
    }
}

/// As NVDIMMs: a read is a copy, not a wait ([`super::accel::Clock::Instructions`]). What is written
/// stays in QEMU's memory.
fn in_memory(qemu: &mut Command, images: [&Path; 3]) -> Result<()> {
    qemu.args(["-machine", "pc,nvdimm=on", "-m", &format!("{MEMORY},slots=4,maxmem=16G")]);
    for (number, image) in images.into_iter().enumerate() {
        let path = image.display().to_string();
        let size = fs::metadata(image).with_context(|| path.clone())?.len();
        let file = escape(&path);
        let backend = format!("memory-backend-file,id=disk{number},share=off,mem-path={file}");
        qemu.args(["-object", &format!("{backend},size={size}")]);
        qemu.args(["-device", &format!("nvdimm,id=nvdimm{number},memdev=disk{number}")]);
    }
    Ok(())
}

/// A comma separates options.
fn escape(value: &str) -> String {
    value.replace(',', ",,")
}
