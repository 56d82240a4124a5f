//! Loading programs of types that the loader library does not know.

use std::{ffi::CStr, io, os::fd::OwnedFd};

use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_type};

use super::{call_fd, zeroed};

/// A program, its maps already in its instructions.
#[derive(Debug, Clone, Copy)]
pub struct Loadable<'a> {
    /// Its name, of which the kernel keeps 15 bytes.
    pub name: &'a str,
    /// What it is.
    pub kind: bpf_prog_type,
    /// What it will be attached to.
    pub attach: bpf_attach_type,
    /// The type id of the kernel function that it will be attached to, or 0.
    pub function: u32,
    /// Its licence.
    pub license: &'a CStr,
    /// Its instructions.
    pub instructions: &'a [bpf_insn],
}

/// Why a program was not loaded.
#[derive(Debug, thiserror::Error)]
#[error("cannot load the eBPF program {name}: {source}{}", last_lines(log))]
pub struct LoadFailure {
    /// Which program.
    pub name: String,
    /// The kernel's answer.
    #[source]
    pub source: io::Error,
    /// What the verifier says; empty where it was not asked.
    pub log: String,
}

/// Loads a program.
///
/// # Errors
/// The kernel's answer, with what the verifier says.
pub fn load(program: &Loadable<'_>) -> Result<OwnedFd, LoadFailure> {
    const LOG: usize = 1 << 20;
    let failure = |source, log| LoadFailure { name: program.name.to_owned(), source, log };
    let mut attr = attributes(program);
    let refused = match call_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) {
        Ok(fd) => return Ok(fd),
        Err(e) => e,
    };
    let mut log = vec![0_u8; LOG];
    let mut attr = attributes(program);
    // SAFETY: the attr was zeroed, so every variant is initialised.
    let with_log = unsafe { &mut attr.__bindgen_anon_3 };
    with_log.log_level = 1;
    with_log.log_buf = log.as_mut_ptr() as u64;
    with_log.log_size = LOG as u32;
    match call_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) {
        Ok(fd) => Ok(fd), // Short of memory a moment ago.
        Err(_) => {
            let text = CStr::from_bytes_until_nul(&log).unwrap_or_default();
            Err(failure(refused, text.to_string_lossy().into_owned()))
        }
    }
}

fn attributes(program: &Loadable<'_>) -> bpf_attr {
    let mut attr = zeroed();
    // SAFETY: the attr was zeroed, so every variant is initialised.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = program.kind as u32;
    load.expected_attach_type = program.attach as u32;
    load.attach_btf_id = program.function;
    load.insns = program.instructions.as_ptr() as u64;
    load.insn_cnt = program.instructions.len() as u32;
    load.license = program.license.as_ptr() as u64;
    for (to, from) in load.prog_name.iter_mut().take(15).zip(program.name.bytes()) {
        *to = from as libc::c_char;
    }
    attr
}

/// Where the verifier gave up; what comes before is how it got there.
fn last_lines(log: &str) -> String {
    let mut lines: Vec<_> =
        log.lines().rev().filter(|l| !l.starts_with("processed ")).take(2).collect();
    lines.reverse();
    if lines.is_empty() { String::new() } else { format!(" ({})", lines.join("; ")) }
}
