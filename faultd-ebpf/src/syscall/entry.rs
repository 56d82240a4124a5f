//! Programs at the entry of system calls (`__x64_sys_*`,
//! arch/x86/include/asm/syscall_wrapper.h), on kernels that let errors be
//! injected there.

use faultd_abi::syscall::{Offsets, hook};

use crate::{
    context::{Address, argument, read, read32, task},
    judge::{answer, judge},
    tree::of_file,
};

/// Most descriptors that are looked up; more than RLIMIT_NOFILE may be.
const DESCRIPTORS: u64 = 1 << 30;

/// Any call: `(const struct pt_regs *regs)`.
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/entry")]
extern "C" fn entry(_args: *const u64) -> i64 {
    answer(judge(hook::ENTRY, |_| Some((0, 0))))
}

/// A call whose first argument is a descriptor.
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/entry_fd")]
extern "C" fn entry_fd(args: *const u64) -> i64 {
    answer(judge(hook::ENTRY, |offsets| Some((open_file(args, offsets), 0))))
}

/// The directory entry of the file in the first argument, or 0.
#[inline(always)]
fn open_file(args: *const u64, offsets: &Offsets) -> Address {
    let fd = read(argument(args, 0), offsets.regs_arg) & 0xffff_ffff;
    let table = read(read(task(), offsets.task_files), offsets.files_fdt);
    if fd >= DESCRIPTORS || fd >= u64::from(read32(table, offsets.fdt_max)) {
        return 0;
    }
    let file = read(read(table, offsets.fdt_fd).wrapping_add(fd * 8), 0);
    of_file(file, offsets)
}
