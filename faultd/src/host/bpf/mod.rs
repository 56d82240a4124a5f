//! bpf(2) by hand, for what the loader library does not offer: trivial
//! programs to probe with, and looking at what the kernel holds.

pub mod btf;
mod inspect;
mod load;

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use aya_obj::generated::{
    bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_map_type, bpf_prog_type,
};

pub use inspect::{LinkKind, LoadedLink, LoadedProgram, links, missed, programs};
pub use load::{LoadFailure, Loadable, load};

/// Makes the system call. `size_of::<bpf_attr>()` may exceed what an older
/// kernel knows; it accepts that as long as the rest is zero
/// (`kernel/bpf/syscall.c`, bpf_check_uarg_tail_zero()).
fn call(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<libc::c_long> {
    // SAFETY: `attr` is a valid union of the size given; the pointers that
    // callers put into it point to memory that outlives the call.
    let rc = unsafe {
        libc::syscall(libc::SYS_bpf, cmd as u32, std::ptr::from_mut(attr), size_of::<bpf_attr>())
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(rc) }
}

fn call_fd(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = call(cmd, attr)?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just returned this descriptor to this process.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn zeroed() -> bpf_attr {
    // SAFETY: every variant of the union is plain integers; zero is valid.
    unsafe { std::mem::zeroed() }
}

const MOV64_IMM: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
const CALL: u8 = 0x85; // BPF_JMP | BPF_CALL
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

const fn insn(code: u8, imm: i32) -> bpf_insn {
    bpf_insn { code, imm, ..EMPTY_INSN }
}

/// The two-instruction program `return VALUE`.
pub fn trivial(value: i32) -> [bpf_insn; 2] {
    [insn(MOV64_IMM, value), insn(EXIT, 0)]
}

/// The program `bpf_set_retval(RETVAL); return VALUE`.
pub fn setting_retval(retval: i32, value: i32) -> [bpf_insn; 4] {
    const SET_RETVAL: i32 = 187; // include/uapi/linux/bpf.h
    let mut argument = insn(MOV64_IMM, retval);
    argument.set_dst_reg(1);
    [argument, insn(CALL, SET_RETVAL), insn(MOV64_IMM, value), insn(EXIT, 0)]
}

/// Loads the two-instruction program `return VALUE`.
///
/// # Errors
/// The kernel's answer.
pub fn load_trivial(
    name: &str,
    kind: bpf_prog_type,
    attach: bpf_attach_type,
    value: i32,
) -> io::Result<OwnedFd> {
    let program = trivial(value);
    let mut attr = zeroed();
    // SAFETY: the attr was zeroed, so every variant is initialised.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = kind as u32;
    load.expected_attach_type = attach as u32;
    load.insns = program.as_ptr() as u64;
    load.insn_cnt = program.len() as u32;
    load.license = c"GPL".as_ptr() as u64;
    for (to, from) in load.prog_name.iter_mut().take(15).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    call_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
}

const EMPTY_INSN: bpf_insn = {
    // SAFETY: plain integers; zero is valid.
    unsafe { std::mem::zeroed() }
};

/// What a link attaches a program to.
#[derive(Debug, Clone, Copy)]
pub enum LinkTarget<'a> {
    /// An interface of the calling thread's network namespace.
    Interface(u32),
    /// A control group's directory.
    Cgroup(BorrowedFd<'a>),
}

/// Attaches a program; it is detached when the descriptor closes.
///
/// # Errors
/// The kernel's answer.
pub fn link(
    program: BorrowedFd<'_>,
    target: LinkTarget<'_>,
    attach: bpf_attach_type,
) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.attach_type = attach as u32;
    match target {
        LinkTarget::Interface(ifindex) => {
            attr.link_create.__bindgen_anon_2.target_ifindex = ifindex;
        }
        LinkTarget::Cgroup(dir) => {
            attr.link_create.__bindgen_anon_2.target_fd = dir.as_raw_fd() as u32;
        }
    }
    call_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Attaches a raw tracepoint program to the tracepoint of that name; it is
/// detached when the descriptor closes.
///
/// # Errors
/// The kernel's answer.
pub fn raw_tracepoint(program: BorrowedFd<'_>, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.raw_tracepoint.name = name.as_ptr() as u64;
    attr.raw_tracepoint.prog_fd = program.as_raw_fd() as u32;
    call_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// Attaches a tracing program to the function that it was loaded for; it is
/// detached when the descriptor closes.
///
/// # Errors
/// The kernel's answer; ENOTSUPP (524) where it has no trampolines.
pub fn trampoline(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.raw_tracepoint.prog_fd = program.as_raw_fd() as u32;
    call_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// Creates an array map of `entries` values of `value_bytes` bytes.
///
/// # Errors
/// The kernel's answer.
pub fn array_map(value_bytes: u32, entries: u32) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: the attr was zeroed, so every variant is initialised.
    let create = unsafe { &mut attr.__bindgen_anon_1 };
    create.map_type = bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
    create.key_size = 4;
    create.value_size = value_bytes;
    create.max_entries = entries;
    call_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr)
}
