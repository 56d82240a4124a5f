//! The network data plane of faultd: `faultd-net`.
//!
//! A packet is parsed once ([`parse`]), the index names the rules that may
//! concern it ([`index`]), each candidate is checked in full ([`matching`]),
//! and what the matching ones do is put together into one verdict
//! ([`action`]) that the program at the hook carries out ([`program`]).
//!
//! Invariants:
//! - A packet that is not IP, or that carries the bypass mark, is passed
//!   before anything else is looked at.
//! - A rule whose time is up does nothing, whatever the daemon does.
//! - Nothing here waits for user space: without a live delay line packets
//!   pass undelayed.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod action;
mod atomic;
mod index;
mod maps;
mod matching;
mod packet;
mod parse;
mod program;
mod quick;
mod rng;
mod sets;
mod walk;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // Nothing here can panic: a program that could does not pass the verifier.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
