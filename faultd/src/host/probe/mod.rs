//! What this host offers, found out by trying.
//!
//! Invariants:
//! - Nothing is derived from a kernel version: distributions take features
//!   out and put them in.
//! - Every answer has three values: it works; this host lacks it; the kernel
//!   has it and refused it.
//! - What is tried is tried in a network namespace and a control group made
//!   for it, which are gone afterwards.
//!
//! Answers are cached for the life of the process. The first question about a
//! group of features asks all of the group, on the asking thread (tens of
//! milliseconds: attaching to TCX waits for an RCU grace period), so a daemon
//! calls [`warm_up`] when it starts.

mod answer;
mod kernel;
mod net;
mod privilege;
mod process;

use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
    thread::{self, JoinHandle},
};

use answer::Answer;
use faultd_api::{BackendStatus, Support};

use super::memory;

/// Something that backends build on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// bpf(2) may be called.
    Bpf,
    /// The kernel describes its types.
    Btf,
    /// Maps of a few MiB may be made.
    BpfMemory,
    /// BPF classifiers as links.
    Tcx,
    /// BPF classifiers as filters.
    Clsact,
    /// BPF programs on a control group's packets.
    CgroupSkb,
    /// BPF programs on the making of a control group's sockets.
    CgroupSock,
    /// BPF programs on tracepoints.
    RawTracepoint,
    /// TAP devices with offloads.
    Tun,
    /// Packet sockets with offloads.
    Packet,
    /// The qdisc that releases packets at their departure time.
    Fq,
    /// The network emulator.
    Netem,
    /// The qdisc of priority bands.
    Prio,
    /// The hierarchical token bucket.
    Htb,
    /// The token bucket.
    Tbf,
    /// Real-time scheduling.
    SchedFifo,
    /// Shortened RCU grace periods.
    RcuExpedited,
    /// Signals through process descriptors.
    Pidfd,
    /// Control groups that can be frozen.
    Freezer,
    /// Memory limits of control groups in version 2.
    MemoryMax,
    /// Memory limits of control groups in version 1.
    MemoryLimit,
    /// The privileges that faults need.
    Capabilities,
    /// Whether this process sees the host's processes.
    PidNamespace,
    /// Whether this process's privileges are the host's.
    UserNamespace,
}

impl Feature {
    /// Every one.
    pub const ALL: [Self; 24] = [
        Self::Bpf,
        Self::Btf,
        Self::BpfMemory,
        Self::Tcx,
        Self::Clsact,
        Self::CgroupSkb,
        Self::CgroupSock,
        Self::RawTracepoint,
        Self::Tun,
        Self::Packet,
        Self::Fq,
        Self::Netem,
        Self::Prio,
        Self::Htb,
        Self::Tbf,
        Self::SchedFifo,
        Self::RcuExpedited,
        Self::Pidfd,
        Self::Freezer,
        Self::MemoryMax,
        Self::MemoryLimit,
        Self::Capabilities,
        Self::PidNamespace,
        Self::UserNamespace,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bpf => "bpf",
            Self::Btf => "btf",
            Self::BpfMemory => "bpf-memory",
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
            Self::CgroupSkb => "cgroup-skb",
            Self::CgroupSock => "cgroup-sock",
            Self::RawTracepoint => "raw-tracepoint",
            Self::Tun => "tun",
            Self::Packet => "packet",
            Self::Fq => "fq",
            Self::Netem => "netem",
            Self::Prio => "prio",
            Self::Htb => "htb",
            Self::Tbf => "tbf",
            Self::SchedFifo => "sched-fifo",
            Self::RcuExpedited => "rcu-expedited",
            Self::Pidfd => "pidfd",
            Self::Freezer => "freezer",
            Self::MemoryMax => "memory-max",
            Self::MemoryLimit => "memory-limit",
            Self::Capabilities => "capabilities",
            Self::PidNamespace => "pid-namespace",
            Self::UserNamespace => "user-namespace",
        }
    }

    fn group(self) -> &'static Group {
        match self {
            Self::Tcx
            | Self::Clsact
            | Self::Tun
            | Self::Packet
            | Self::Fq
            | Self::Netem
            | Self::Prio
            | Self::Htb
            | Self::Tbf => &NET,
            Self::Bpf
            | Self::Btf
            | Self::BpfMemory
            | Self::CgroupSkb
            | Self::CgroupSock
            | Self::RawTracepoint
            | Self::RcuExpedited => &KERNEL,
            Self::Pidfd | Self::Freezer | Self::MemoryMax | Self::MemoryLimit => &PROCESS,
            Self::SchedFifo | Self::Capabilities | Self::PidNamespace | Self::UserNamespace => {
                &PRIVILEGE
            }
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Features that share what they are tried in.
struct Group {
    answers: OnceLock<Vec<(Feature, Answer)>>,
    ask: fn() -> Vec<(Feature, Answer)>,
}

static NET: Group = Group { answers: OnceLock::new(), ask: net::ask };
static KERNEL: Group = Group { answers: OnceLock::new(), ask: kernel::ask };
static PROCESS: Group = Group { answers: OnceLock::new(), ask: process::ask };
static PRIVILEGE: Group = Group { answers: OnceLock::new(), ask: privilege::ask };

/// The thread that asks everything.
static WARMING: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// Asks everything in the background, so that nobody waits later.
pub fn warm_up() {
    let thread = thread::Builder::new().name("probe".into());
    // Without a thread the first who asks waits; nothing else changes.
    let asking = thread
        .spawn(|| {
            drop(features());
            memory::give_back();
        })
        .ok();
    *WARMING.lock().unwrap_or_else(PoisonError::into_inner) = asking;
}

/// Waits for the end of [`warm_up`]: a process that ends in the middle of it
/// leaves behind what something was being tried in.
pub fn settle() {
    let asking = WARMING.lock().unwrap_or_else(PoisonError::into_inner).take();
    if asking.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("the probe has panicked");
    }
}

/// Whether one feature works here.
pub fn status(feature: Feature) -> BackendStatus {
    let group = feature.group();
    let answers = group.answers.get_or_init(group.ask);
    let answer = answers.iter().find(|(f, _)| *f == feature).map(|(_, answer)| answer.clone());
    let answer = answer.unwrap_or_else(|| Answer::no("was not asked"));
    BackendStatus {
        name: feature.name().to_owned(),
        support: answer.support,
        detail: answer.detail,
    }
}

/// Every feature, for `doctor`.
pub fn features() -> Vec<BackendStatus> {
    Feature::ALL.map(status).to_vec()
}

/// Whether classifiers can be attached to interfaces, by TCX or by clsact.
pub fn classifier() -> BackendStatus {
    let tcx = status(Feature::Tcx);
    if tcx.support == Support::Yes {
        return tcx;
    }
    let mut clsact = status(Feature::Clsact);
    clsact.detail = match clsact.support {
        Support::Yes => format!("{} (TCX: {})", clsact.detail, tcx.detail),
        _ => format!("neither TCX ({}) nor clsact ({})", tcx.detail, clsact.detail),
    };
    clsact
}

/// Whether packets can be taken out of their path, held and put back: TAP
/// devices and packet sockets.
pub fn tun() -> BackendStatus {
    let tun = status(Feature::Tun);
    if tun.support != Support::Yes {
        return tun;
    }
    let packet = status(Feature::Packet);
    if packet.support == Support::Yes { tun } else { packet }
}

/// Whether drop rules can sit on control groups.
pub fn cgroup_skb() -> BackendStatus {
    status(Feature::CgroupSkb)
}

/// Whether the kernel has a qdisc of that name, among those that faultd uses.
/// `netem` includes the `prio` that it hangs in.
pub fn qdisc(kind: &str) -> BackendStatus {
    let feature = match kind {
        "fq" => Feature::Fq,
        "prio" => Feature::Prio,
        "htb" => Feature::Htb,
        "tbf" => Feature::Tbf,
        "netem" => match status(Feature::Prio) {
            prio if prio.support != Support::Yes => {
                let netem = status(Feature::Netem);
                return if netem.support == Support::Yes { prio } else { netem };
            }
            _ => Feature::Netem,
        },
        other => {
            return BackendStatus {
                name: other.to_owned(),
                support: Support::No,
                detail: format!("faultd uses no qdisc {other}"),
            };
        }
    };
    status(feature)
}

#[cfg(test)]
mod tests;
