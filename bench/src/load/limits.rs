//! Descriptors and cores.

use std::fs::File;

use nix::{
    fcntl::{FcntlArg, fcntl},
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{Pid, close},
};

/// Connections that the server here has at most.
const CONNECTIONS: i32 = 16_384;

/// Lets this process, and what it starts, open as many files as it may.
pub fn raise() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Too few show as failed requests.
        let _raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    // Where there are threads, the table of descriptors grows only after a grace period of RCU:
    // the server would stand still meanwhile. So it grows now.
    if let Ok(file) = File::open("/dev/null")
        && let Ok(last) = fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(CONNECTIONS - 1))
    {
        let _closed = close(last);
    }
}

/// Which side of the measurement a thread is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first core.
    Server,
    /// The last core.
    Client,
}

/// Does `work` on that side's core; what it starts stays there.
pub fn on<R>(side: Side, work: impl FnOnce() -> R) -> R {
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this).expect("every thread has its cores");
    let mut allowed = (0..CpuSet::count()).filter(|&cpu| before.is_set(cpu).unwrap_or(false));
    let cpu = match side {
        Side::Server => allowed.next(),
        Side::Client => allowed.next_back(),
    };
    let mut one = CpuSet::new();
    one.set(cpu.expect("a thread runs somewhere")).expect("it is in the set");
    sched_setaffinity(this, &one).expect("it is one of the allowed ones");
    let done = work();
    sched_setaffinity(this, &before).expect("as it was before");
    done
}

/// Seconds, scaled, but not so few that nothing is measured.
pub fn seconds(full: u64, scale: f64) -> u64 {
    ((full as f64 * scale).round() as u64).max(2)
}
