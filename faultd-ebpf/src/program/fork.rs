//! Children are in whatever their parent is in, while a rule names processes.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use faultd_abi::{NOTE_FORK_UNREADABLE, NOTE_PIDS_FULL};

use crate::maps::{CONFIG, PID_CLASS, note};

macro_rules! copies {
    ($($name:ident)*) => {$(
        /// One of [`faultd_abi::FORK_COPIES`].
        #[raw_tracepoint(tracepoint = "sched_process_fork")]
        pub fn $name(ctx: RawTracePointContext) -> i32 {
            follow(&ctx)
        }
    )*};
}

copies!(task_fork_1 task_fork_2 task_fork_3 task_fork_4);

/// `trace_sched_process_fork(parent, child)`, include/trace/events/sched.h. A
/// raw tracepoint, because those need no tracefs.
#[inline(always)]
fn follow(ctx: &RawTracePointContext) -> i32 {
    // The caller of fork(2) and not `parent`, which CLONE_PARENT makes another.
    let parent = (bpf_get_current_pid_tgid() >> 32) as u32;
    let Some(config) = CONFIG.get(0) else { return 0 };
    let task: *const u8 = ctx.arg(1);
    let pid = read(task, config.task_pid_offset);
    let tgid = read(task, config.task_tgid_offset);
    let (Some(pid), Some(tgid)) = (pid, tgid) else {
        note(NOTE_FORK_UNREADABLE);
        return 0;
    };
    if pid != tgid {
        return 0; // A thread.
    }
    // SAFETY: one word, copied at once.
    match unsafe { PID_CLASS.get(&parent) }.copied() {
        Some(class) => {
            if PID_CLASS.insert(&tgid, &class, 0).is_err() {
                note(NOTE_PIDS_FULL);
            }
        }
        // An earlier process with this number may have been in some class.
        None => {
            let _ = PID_CLASS.remove(&tgid);
        }
    }
    0
}

/// Reads an integer of `struct task_struct`, whose layout differs from kernel to
/// kernel; the offset comes from its BTF.
#[inline(always)]
fn read(task: *const u8, offset: u32) -> Option<u32> {
    // SAFETY: a read that faults returns an error.
    unsafe { bpf_probe_read_kernel(task.wrapping_add(offset as usize).cast::<u32>()) }.ok()
}
