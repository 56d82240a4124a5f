//! The command line of QEMU.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::{accel::Accel, kernel::Kernel};

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
pub fn command(accel: Accel, kernel: &Kernel, disks: &Disks<'_>) -> Command {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        // Without it a boot ROM waits for a network.
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        // A reset (also after a panic) ends QEMU.
        "-no-reboot",
        "-m",
        "2G",
    ]);
    // An oops is a panic: what runs after one proves nothing.
    let append = "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic mitigations=off net.ifnames=0";
    qemu.args(["-append", &format!("{append}{}", accel.kernel_arguments())]);
    qemu.args(accel.arguments());
    qemu.arg("-kernel").arg(kernel.vmlinuz()).arg("-initrd").arg(disks.initramfs);
    // The order of the disks is the order of their names: vda, vdb, vdc.
    for (image, mode) in [
        (disks.userland, "snapshot=on"),
        (disks.payload, "readonly=on"),
        (&kernel.modules_image(), "readonly=on"),
    ] {
        let file = escape(&image.display().to_string());
        qemu.args(["-drive", &format!("file={file},format=raw,if=virtio,{mode}")]);
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
    qemu
}

/// A comma separates options.
fn escape(value: &str) -> String {
    value.replace(',', ",,")
}
