//! Measuring threads go first, so that a busy machine does not add its own
//! delays to those that are measured.

/// Gives the calling thread real-time priority, if it may have it; threads and
/// processes that it starts are ordinary ones again.
pub fn measures() {
    let param = libc::sched_param { sched_priority: 10 };
    // SAFETY: the call reads one structure, which is ours. A refusal leaves
    // the thread as it is.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const param);
    }
}
