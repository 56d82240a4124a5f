//! What this process may do.

use std::{fs, io, os::unix::fs::MetadataExt, thread};

use super::{Answer, Feature};

/// Linux `include/linux/proc_ns.h`: inode numbers of the initial namespaces.
const PROC_USER_INIT_INO: u64 = 0xEFFF_FFFD;
const PROC_PID_INIT_INO: u64 = 0xEFFF_FFFC;

/// Capabilities that faults need (capabilities(7)), with their numbers.
const NEEDED: [(u8, &str, &str); 9] = [
    (5, "CAP_KILL", "signals"),
    (12, "CAP_NET_ADMIN", "interfaces, qdiscs, classifiers"),
    (13, "CAP_NET_RAW", "the delay line"),
    (19, "CAP_SYS_PTRACE", "sockets and paths of other users' processes"),
    (21, "CAP_SYS_ADMIN", "network namespaces, control groups"),
    (23, "CAP_SYS_NICE", "the delay line's real-time thread"),
    (24, "CAP_SYS_RESOURCE", "resource limits of other processes"),
    (38, "CAP_PERFMON", "BPF on tracepoints"),
    (39, "CAP_BPF", "BPF"),
];

pub(super) fn ask() -> Vec<(Feature, Answer)> {
    vec![
        (Feature::SchedFifo, sched_fifo()),
        (Feature::Capabilities, capabilities()),
        (
            Feature::PidNamespace,
            initial_namespace("pid", PROC_PID_INIT_INO, "processes outside it are out of sight"),
        ),
        (
            Feature::UserNamespace,
            initial_namespace("user", PROC_USER_INIT_INO, "its root is not the host's"),
        ),
    ]
}

/// Tried on a thread that ends with the attempt.
fn sched_fifo() -> Answer {
    let attempt = || {
        let lowest = libc::sched_param { sched_priority: 1 };
        // SAFETY: 0 is the calling thread; the parameters are valid.
        let rc = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const lowest) };
        if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    let result = thread::Builder::new()
        .name("probe-fifo".into())
        .spawn(attempt)
        .and_then(|t| t.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked"))));
    let works = "real-time threads; delays stay exact under load";
    Answer::from_result(result, works, "this kernel has no SCHED_FIFO").0
}

fn capabilities() -> Answer {
    let status = match fs::read_to_string("/proc/thread-self/status") {
        Ok(status) => status,
        Err(e) => return Answer::refused(format!("/proc/thread-self/status: {e}")),
    };
    let Some(effective) = effective_capabilities(&status) else {
        return Answer::refused("/proc/thread-self/status has no CapEff");
    };
    missing_capabilities(effective)
}

/// The `CapEff` line of proc_pid_status(5).
fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn missing_capabilities(effective: u64) -> Answer {
    let missing: Vec<String> = NEEDED
        .iter()
        .filter(|(bit, ..)| effective & (1 << bit) == 0)
        .map(|(_, name, purpose)| format!("{name} ({purpose})"))
        .collect();
    if missing.is_empty() {
        return Answer::yes("all that faults need");
    }
    Answer::refused(format!("missing {}", missing.join(", ")))
}

fn initial_namespace(kind: &str, initial: u64, otherwise: &str) -> Answer {
    match fs::metadata(format!("/proc/thread-self/ns/{kind}")) {
        Ok(found) if found.ino() == initial => Answer::yes(format!("the host's {kind} namespace")),
        Ok(_) => Answer::no(format!("a {kind} namespace of its own: {otherwise}")),
        Err(e) => Answer::refused(format!("/proc/thread-self/ns/{kind}: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use faultd_api::Support;

    use super::*;

    #[test]
    fn missing_capabilities_are_named_with_their_purpose() {
        let status = "Name:\tx\nCapEff:\t000001fffeffffff\nCapBnd:\t0\n";
        let answer = missing_capabilities(effective_capabilities(status).unwrap());
        assert_eq!(answer.support, Support::Refused);
        assert_eq!(answer.detail, "missing CAP_SYS_RESOURCE (resource limits of other processes)");
        assert_eq!(missing_capabilities(u64::MAX).support, Support::Yes);
        assert_eq!(effective_capabilities("CapEff:\tzz"), None);
        assert_eq!(effective_capabilities(""), None);
    }
}
