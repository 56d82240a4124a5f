//! What the kernel is doing right now: the call, its number, its arguments.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::{
    bpf_get_current_task_btf, bpf_task_pt_regs, generated::bpf_probe_read_kernel,
};
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
    copy(at.wrapping_add(offset.into()))
}

/// Half a word of a kernel structure; 0 if it cannot be read.
#[inline(always)]
pub fn read32(at: Address, offset: u32) -> u32 {
    copy(at.wrapping_add(offset.into()))
}

/// A number that lies at `at`; 0 if it cannot be read.
#[inline(always)]
fn copy<T: Number>(at: Address) -> T {
    let mut number = MaybeUninit::<T>::uninit();
    // SAFETY: the helper fills the number whatever happens, with zeros where the
    // read faults (`bpf_probe_read_kernel_common`, kernel/trace/bpf_trace.c), and
    // every pattern of bits is one. To look at its answer as well would double
    // what the verifier follows at every read.
    unsafe {
        bpf_probe_read_kernel(number.as_mut_ptr().cast(), size_of::<T>() as u32, at as *const _);
        number.assume_init()
    }
}

trait Number {}
impl Number for u64 {}
impl Number for u32 {}

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
