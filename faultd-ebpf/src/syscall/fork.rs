//! Children are in whatever rules their parent is in.

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid, macros::raw_tracepoint, programs::RawTracePointContext,
};

use faultd_abi::syscall::FILTERED;

use crate::{
    context::{Address, read32},
    maps::{PID_FILTER, PIDS, SETTINGS},
};

/// `trace_sched_process_fork(parent, child)`, include/trace/events/sched.h.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn task_fork(ctx: RawTracePointContext) -> i32 {
    // The caller of fork(2) and not `parent`, which CLONE_PARENT makes another.
    let parent = (bpf_get_current_pid_tgid() >> 32) as u32;
    let Some(config) = SETTINGS.get(0) else { return 0 };
    let task = ctx.arg::<*const u8>(1) as Address;
    let pid = read32(task, config.offsets.task_pid);
    let tgid = read32(task, config.offsets.task_tgid);
    if pid == 0 || pid != tgid {
        return 0; // A thread.
    }
    // SAFETY: a word, copied at once.
    match unsafe { PIDS.get(&parent) }.copied() {
        Some(slots) => {
            let _ = PIDS.insert(&tgid, &slots, 0);
            if let Some(word) = PID_FILTER.get_ptr_mut(tgid % FILTERED) {
                // SAFETY: the map's element, valid while the program runs; nobody
                // writes anything else.
                unsafe { word.write_volatile(1) };
            }
        }
        // An earlier process with this number may have been in some rule.
        None => {
            let _ = PIDS.remove(&tgid);
        }
    }
    0
}
