//! The system call programs of faultd: `faultd-syscall`.
//!
//! Each program sits at a place that certain calls pass ([`hooks`], [`entry`],
//! [`cgroup`]) and asks [`judge`] whether a rule makes this call fail. Rules
//! name processes, calls by their number, and paths by the inode of a directory
//! above the file ([`tree`]).
//!
//! Invariants:
//! - A process that no rule names costs no look-up in a hash table.
//! - A rule whose time is up does nothing, whatever the daemon does.
//! - Each call is judged at one place, once.
//!
//! The daemon loads these programs itself (aya has no fmod_ret). Their section
//! `lsm/…` only makes the parser take them.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

#[expect(dead_code, reason = "the network programs use the rest of it")]
#[path = "../atomic.rs"]
mod atomic;
mod cgroup;
mod context;
mod entry;
mod flag;
mod fork;
mod hooks;
mod judge;
mod maps;
mod named;
#[expect(dead_code, reason = "the network programs use the rest of it")]
#[path = "../rng.rs"]
mod rng;
mod tree;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // Nothing here can panic: a program that could does not pass the verifier.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
