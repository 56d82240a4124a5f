//! Guests with real distribution kernels.
//!
//! A guest is QEMU with a kernel of the distribution, an initramfs that loads the disks' drivers
//! and switches root, and three disks: the userland (a snapshot, so that every boot finds it
//! clean), the payload (the build under test and the job) and the kernel's modules. Results come
//! back as JSON lines on the second serial port; the first is the console, kept in a file.

mod accel;
pub mod cli;
mod console;
mod cpio;
pub mod disk;
mod init;
pub mod kernel;
mod payload;
mod qemu;
pub mod run;
pub mod userland;

pub use payload::Payload;
