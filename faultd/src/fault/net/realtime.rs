//! Making the calling thread punctual.

use std::io;

/// Above every ordinary thread, below what an administrator made urgent on
/// purpose (the kernel's own interrupt threads run at 50).
const PRIORITY: libc::c_int = 10;

/// Gives the calling thread a real-time priority and exact timers. Falls back
/// to the best ordinary priority; what cannot be had is logged, with what
/// `suffers` from it on a busy machine.
///
/// The kernel's throttling of real-time threads (sched(7)) stays in force, so
/// a flood cannot take a CPU away for good.
pub(super) fn make_punctual(suffers: &str) {
    // Ordinary threads' timers are grouped within 50 µs otherwise
    // (PR_SET_TIMERSLACK, prctl(2)).
    // SAFETY: this prctl takes one integer.
    if unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) } < 0 {
        tracing::debug!(error = %io::Error::last_os_error(), suffers, "timer slack");
    }
    let param = libc::sched_param { sched_priority: PRIORITY };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 is the calling thread; `param` is live.
    if unsafe { libc::sched_setscheduler(0, policy, &raw const param) } == 0 {
        return;
    }
    let error = io::Error::last_os_error();
    tracing::warn!(%error, suffers, "no real-time priority; a busy machine may be late");
    // SAFETY: plain integers; 0 is the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) } < 0 {
        tracing::warn!(error = %io::Error::last_os_error(), suffers, "no raised priority");
    }
}
