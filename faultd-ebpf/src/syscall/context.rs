//! What the kernel is doing right now: the call, its number, its arguments.

use aya_ebpf::helpers::{bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_task_pt_regs};
use faultd_abi::syscall::Offsets;

/// `PF_IO_WORKER | PF_KTHREAD`, include/linux/sched.h: such threads make no
/// calls, and what stands where the number of one would be means nothing.
const NO_CALLS: u32 = 0x10 | 0x0020_0000;

/// `__USER32_CS`, arch/x86/include/asm/segment.h: a process that numbers its
/// calls as i386 does.
const USER32_CS: u64 = 0x23;

/// Where a kernel structure lies.
pub type Address = u64;

/// Argument `n` of the function that a program stands in front of.
///
/// Copied as plain memory: the verifier would not let a typed pointer have
/// offsets that are only known when the daemon starts.
#[inline(always)]
pub fn argument(args: *const u64, n: usize) -> Address {
    read(args.wrapping_add(n) as Address, 0)
}

/// A word of a kernel structure; 0 if it cannot be read.
#[inline(always)]
pub fn read(at: Address, offset: u32) -> u64 {
    // SAFETY: a read that faults returns an error.
    unsafe { bpf_probe_read_kernel(at.wrapping_add(offset.into()) as *const u64) }.unwrap_or(0)
}

/// Half a word of a kernel structure; 0 if it cannot be read.
#[inline(always)]
pub fn read32(at: Address, offset: u32) -> u32 {
    // SAFETY: a read that faults returns an error.
    unsafe { bpf_probe_read_kernel(at.wrapping_add(offset.into()) as *const u32) }.unwrap_or(0)
}

/// The number of the system call that the current thread is in; `None` if it is
/// in none, or in one of another ABI.
#[inline(always)]
pub fn number(offsets: &Offsets) -> Option<u32> {
    // SAFETY: both only return pointers.
    let (task, regs) = unsafe {
        let task = bpf_get_current_task_btf();
        (task as Address, bpf_task_pt_regs(task) as Address)
    };
    if read32(task, offsets.task_flags) & NO_CALLS != 0 {
        return None;
    }
    if offsets.regs_cs != 0 && read(regs, offsets.regs_cs) & 0xffff == USER32_CS {
        return None;
    }
    Some(read32(regs, offsets.regs_nr))
}

/// The current thread.
#[inline(always)]
pub fn task() -> Address {
    // SAFETY: only returns a pointer.
    unsafe { bpf_get_current_task_btf() as Address }
}
