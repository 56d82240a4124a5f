//! A classifier for the delay line's own tests, written as instructions: it
//! stamps every packet that a port condition picks with one constant delay and
//! redirects it. The real one is in faultd-ebpf; this one keeps the line
//! testable on its own.
//!
//! It hangs on clsact, which every kernel of the matrix has; the namespaces of
//! these tests take it with them.

use std::{
    io,
    os::fd::{AsFd as _, FromRawFd as _, OwnedFd},
};

use faultd::host::{
    netns::Netns,
    tc::{Handle, Tc},
};

/// Which packets are delayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// All IP packets.
    Any,
    /// TCP and UDP from this port.
    From(u16),
    /// TCP and UDP to this port.
    To(u16),
}

/// Where the classifier sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Ingress,
    Egress,
}

/// What it does.
#[derive(Debug, Clone, Copy)]
pub struct Delay {
    pub tap: u32,
    pub mark: u32,
    pub delay_us: u32,
    pub slot: u16,
    pub origin: u16,
    /// The meta replaces the Ethernet header (loopback).
    pub in_place: bool,
    pub which: Match,
}

/// An attached program; detached when dropped.
pub struct Attached {
    netns: Netns,
    ifindex: u32,
    parent: Handle,
}

/// Priority and handle alike.
const FIRST: u16 = 1;

impl Drop for Attached {
    fn drop(&mut self) {
        // The interface may be gone by now, and the filter with it.
        if let Ok(mut tc) = Tc::open(&self.netns) {
            let _ = tc.del_filter(self.ifindex, self.parent, FIRST, FIRST.into());
        }
    }
}

/// `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Insn {
    code: u8,
    regs: u8,
    off: i16,
    imm: i32,
}

const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, regs: dst | (src << 4), off, imm }
}
const fn mov(dst: u8, src: u8) -> Insn {
    insn(0xbf, dst, src, 0, 0)
}
const fn mov_imm(dst: u8, imm: i32) -> Insn {
    insn(0xb7, dst, 0, 0, imm)
}
const fn add_imm(dst: u8, imm: i32) -> Insn {
    insn(0x07, dst, 0, 0, imm)
}
const fn load_u32(dst: u8, src: u8, off: i16) -> Insn {
    insn(0x61, dst, src, off, 0)
}
const fn load_u16(dst: u8, src: u8, off: i16) -> Insn {
    insn(0x69, dst, src, off, 0)
}
const fn store_u32(dst: u8, src: u8, off: i16) -> Insn {
    insn(0x63, dst, src, off, 0)
}
const fn store_u64(dst: u8, src: u8, off: i16) -> Insn {
    insn(0x7b, dst, src, off, 0)
}
const fn store_u16_imm(dst: u8, off: i16, imm: u16) -> Insn {
    insn(0x6a, dst, 0, off, imm as i32)
}
const fn call(helper: i32) -> Insn {
    insn(0x85, 0, 0, 0, helper)
}
const fn jump_eq(dst: u8, imm: i32, off: i16) -> Insn {
    insn(0x15, dst, 0, off, imm)
}
const fn jump_ne(dst: u8, imm: i32, off: i16) -> Insn {
    insn(0x55, dst, 0, off, imm)
}
const fn jump_set(dst: u8, imm: i32, off: i16) -> Insn {
    insn(0x45, dst, 0, off, imm)
}
const EXIT: Insn = insn(0x95, 0, 0, 0, 0);

const SKB_STORE_BYTES: i32 = 9;
const REDIRECT: i32 = 23;
const SKB_LOAD_BYTES: i32 = 26;
const SKB_CHANGE_HEAD: i32 = 43;
const KTIME_GET_BOOT_NS: i32 = 125;

/// Offsets in `struct __sk_buff`.
const SKB_MARK: i16 = 8;
const SKB_PROTOCOL: i16 = 16;

const PASS: i32 = -1; // TC_ACT_UNSPEC

fn pass() -> [Insn; 2] {
    [mov_imm(0, PASS), EXIT]
}

fn delaying(delay: &Delay) -> Vec<Insn> {
    let mut code = vec![mov(6, 1), load_u32(1, 6, SKB_MARK)];
    code.push(jump_set(1, delay.mark as i32, 1));
    code.push(jump_eq(0, 0, 0)); // rewritten below: skips the exit
    let last = code.len() - 1;
    code[last] = insn(0x05, 0, 0, 2, 0);
    code.extend(pass());
    // r7 = offset of the transport header, for the two IP versions.
    code.extend([
        load_u32(1, 6, SKB_PROTOCOL),
        mov_imm(7, 14 + 20),
        jump_eq(1, i32::from(0x0800_u16.to_be()), 4),
        mov_imm(7, 14 + 40),
        jump_eq(1, i32::from(0x86dd_u16.to_be()), 2),
    ]);
    code.extend(pass());
    if let Match::From(port) | Match::To(port) = delay.which {
        let extra = if matches!(delay.which, Match::To(_)) { 2 } else { 0 };
        code.extend([
            mov(1, 6),
            mov(2, 7),
            add_imm(2, extra),
            mov(3, 10),
            add_imm(3, -8),
            mov_imm(4, 2),
            call(SKB_LOAD_BYTES),
            jump_ne(0, 0, 2),
            load_u16(1, 10, -8),
            jump_eq(1, i32::from(port.to_be()), 2),
        ]);
        code.extend(pass());
    }
    let us = delay.delay_us.to_be_bytes();
    code.extend([
        call(KTIME_GET_BOOT_NS),
        // The delay in ns may exceed 31 bits: µs times 1000.
        mov_imm(1, delay.delay_us as i32),
        insn(0x27, 1, 0, 0, 1000),
        insn(0x0f, 0, 1, 0, 0),
        insn(0x67, 0, 0, 0, 16),
        insn(0xdc, 0, 0, 0, 64),
        store_u64(10, 0, -24),
        store_u16_imm(10, -18, u16::from_ne_bytes([us[0], us[1]])),
        store_u16_imm(10, -16, u16::from_ne_bytes([us[2], us[3]])),
        store_u16_imm(10, -14, delay.slot.to_be()),
        store_u16_imm(10, -12, delay.origin.to_be()),
    ]);
    if !delay.in_place {
        code.extend([mov(1, 6), mov_imm(2, 14), mov_imm(3, 0), call(SKB_CHANGE_HEAD)]);
        code.push(jump_eq(0, 0, 2));
        code.extend(pass());
    }
    code.extend([
        mov(1, 6),
        mov_imm(2, 0),
        mov(3, 10),
        add_imm(3, -24),
        mov_imm(4, 14),
        mov_imm(5, 0),
        call(SKB_STORE_BYTES),
        mov_imm(1, delay.tap as i32),
        mov_imm(2, 0),
        call(REDIRECT),
        EXIT,
    ]);
    code
}

/// What the plane's `tap_ingress` does: mark, and pass on to the real device.
fn passing_on(ifindex: u32, mark: u32) -> Vec<Insn> {
    const BPF_F_INGRESS: i32 = 1;
    vec![
        mov_imm(2, mark as i32),
        store_u32(1, 2, SKB_MARK),
        mov_imm(1, ifindex as i32),
        mov_imm(2, BPF_F_INGRESS),
        call(REDIRECT),
        EXIT,
    ]
}

fn bpf(command: libc::c_long, attr: &mut [u64]) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is live, zero-padded and its size is given.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(attr)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: BPF_PROG_LOAD returns a new descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn load(code: &[Insn]) -> io::Result<OwnedFd> {
    const BPF_PROG_LOAD: libc::c_long = 5;
    const BPF_PROG_TYPE_SCHED_CLS: u64 = 3;
    let mut log = vec![0_u8; 1 << 16];
    let mut attr = [
        BPF_PROG_TYPE_SCHED_CLS | ((code.len() as u64) << 32),
        code.as_ptr() as u64,
        c"GPL".as_ptr() as u64,
        1 | ((log.len() as u64) << 32),
        log.as_mut_ptr() as u64,
        0,
        0,
        0,
        0,
    ];
    bpf(BPF_PROG_LOAD, &mut attr).map_err(|error| {
        io::Error::new(error.kind(), format!("{error}: {}", String::from_utf8_lossy(&log)))
    })
}

fn attach(code: &[Insn], ifindex: u32, hook: Hook) -> io::Result<Attached> {
    let program = load(code)?;
    let parent = match hook {
        Hook::Ingress => Handle::CLSACT_INGRESS,
        Hook::Egress => Handle::CLSACT_EGRESS,
    };
    let netns = Netns::current()?;
    let mut tc = Tc::open(&netns)?;
    if !tc.has_clsact(ifindex)? {
        tc.add_clsact(ifindex)?;
    }
    tc.add_bpf_filter(ifindex, parent, FIRST, FIRST.into(), program.as_fd(), "delay-line-test")?;
    Ok(Attached { netns, ifindex, parent })
}

/// Delays what leaves by (or comes in by) an interface.
pub fn attach_delay(ifindex: u32, hook: Hook, delay: &Delay) -> io::Result<Attached> {
    attach(&delaying(delay), ifindex, hook)
}

/// Passes on what comes in on a TAP as if it came in on `ifindex`.
pub fn attach_pass_on(tap: u32, ifindex: u32, mark: u32) -> io::Result<Attached> {
    attach(&passing_on(ifindex, mark), tap, Hook::Ingress)
}
