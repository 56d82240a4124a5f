//! Effects that outlive the daemon, and how each is taken back.
//!
//! An [`Undo`] is idempotent, serialisable and needs nothing that a fault may
//! have broken. The journal stores it; the daemon, the guardian and
//! `faultd recover` replay it.
//!
//! Invariants:
//! - What is already gone (the file, the interface, the whole namespace)
//!   counts as undone.
//! - Only what the entry names is touched: a qdisc that meanwhile belongs to
//!   somebody else, or a clsact that carries other people's filters, stays.

use std::{fmt, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    netns::{Netns, NetnsRef},
    process::ProcessRef,
    sysctl,
    tc::{Handle, Tc, TcError},
};

/// How to take one effect back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// Write a file of procfs, sysfs or cgroupfs back.
    WriteFile {
        /// Absolute path.
        path: String,
        /// What it held.
        content: String,
    },
    /// Write a network sysctl back.
    Sysctl {
        /// In which namespace.
        netns: NetnsRef,
        /// As [`sysctl::write`] takes it.
        key: String,
        /// What it held.
        value: String,
    },
    /// Delete one classifier.
    TcFilter {
        /// In which namespace.
        netns: NetnsRef,
        /// On which interface.
        ifindex: u32,
        /// Under which parent.
        parent: Handle,
        /// Its priority.
        priority: u16,
        /// Its number within the priority.
        handle: u32,
    },
    /// Delete a clsact qdisc, unless others have put filters on it.
    Clsact {
        /// In which namespace.
        netns: NetnsRef,
        /// On which interface.
        ifindex: u32,
    },
    /// Delete a root qdisc if it still has this handle; the kernel puts its
    /// default back.
    RootQdisc {
        /// In which namespace.
        netns: NetnsRef,
        /// On which interface.
        ifindex: u32,
        /// The handle it was given.
        handle: Handle,
    },
    /// Continue processes that were stopped by a signal.
    Resume {
        /// Which; those that have ended are passed over.
        processes: Vec<ProcessRef>,
    },
}

/// Why an effect could not be taken back.
#[derive(Debug, thiserror::Error)]
#[error("could not undo {what}: {reason}")]
pub struct UndoError {
    /// The effect.
    pub what: String,
    /// The system's answer.
    pub reason: String,
}

impl Undo {
    /// Takes the effect back. Safe to call again, at any time, from any
    /// process that has the rights of the one that recorded it.
    ///
    /// # Errors
    /// When the effect may still be there.
    pub fn replay(&self) -> Result<(), UndoError> {
        self.attempt().map_err(|e| UndoError { what: self.to_string(), reason: e.to_string() })
    }

    /// Whether both take back the same thing, whatever was there before.
    pub fn is_about_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::RootQdisc { netns, ifindex, handle },
                Self::RootQdisc { netns: n, ifindex: i, handle: h },
            ) => netns.is_same(n) && (ifindex, handle) == (i, h),
            (
                Self::TcFilter { netns, ifindex, parent, priority, handle },
                Self::TcFilter { netns: n, ifindex: i, parent: at, priority: p, handle: h },
            ) => netns.is_same(n) && (ifindex, parent, priority, handle) == (i, at, p, h),
            _ => self == other,
        }
    }

    fn attempt(&self) -> io::Result<()> {
        match self {
            Self::WriteFile { path, content } => {
                forgive_absent(sysctl::write_existing(Path::new(path), content))
            }
            Self::Sysctl { netns, key, value } => inside(netns, |netns| {
                forgive_absent(sysctl::write(netns, key, value).map_err(|e| e.source))
            }),
            Self::TcFilter { netns, ifindex, parent, priority, handle } => {
                inside(netns, |netns| del_filter(netns, *ifindex, *parent, *priority, *handle))
            }
            Self::Clsact { netns, ifindex } => inside(netns, |netns| del_clsact(netns, *ifindex)),
            Self::RootQdisc { netns, ifindex, handle } => {
                inside(netns, |netns| del_root(netns, *ifindex, *handle))
            }
            Self::Resume { processes } => resume(processes),
        }
    }
}

/// What is undone, in words.
impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteFile { path, content } => {
                write!(f, "the change of {path} (was {:?})", content.trim_end())
            }
            Self::Sysctl { key, value, .. } => write!(f, "the change of {key} (was {value:?})"),
            Self::TcFilter { ifindex, priority, handle, .. } => {
                write!(f, "classifier {priority}/{handle:#x} on interface {ifindex}")
            }
            Self::Clsact { ifindex, .. } => write!(f, "the clsact qdisc on interface {ifindex}"),
            Self::RootQdisc { ifindex, handle, .. } => {
                write!(f, "root qdisc {handle} on interface {ifindex}")
            }
            Self::Resume { processes } => match processes.as_slice() {
                [one] => write!(f, "the stop of process {}", one.pid),
                several => write!(f, "the stop of {} processes", several.len()),
            },
        }
    }
}

/// Continues all that can be; the first error, if any.
fn resume(processes: &[ProcessRef]) -> io::Result<()> {
    let mut result = Ok(());
    for process in processes {
        // Also where it does not look stopped: the signal may still be on its
        // way, and one that runs takes no notice.
        let sent = process.signal(libc::SIGCONT);
        if let Err(e) = sent
            && result.is_ok()
        {
            result = Err(io::Error::new(e.kind(), format!("process {}: {e}", process.pid)));
        }
    }
    result
}

/// Runs `f` on the namespace if there still is one.
fn inside(netns: &NetnsRef, f: impl FnOnce(&Netns) -> io::Result<()>) -> io::Result<()> {
    netns.open().map_or(Ok(()), |netns| f(&netns))
}

fn forgive_absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(()),
        other => other,
    }
}

fn forgive_absent_tc(result: Result<(), TcError>) -> io::Result<()> {
    match result {
        Err(e) if e.is_absent() => Ok(()),
        other => Ok(other?),
    }
}

fn del_filter(
    netns: &Netns,
    ifindex: u32,
    parent: Handle,
    priority: u16,
    handle: u32,
) -> io::Result<()> {
    let mut tc = Tc::open(netns)?;
    let result = tc.del_filter(ifindex, parent, priority, handle);
    let Err(error) = result else { return Ok(()) };
    // Without its clsact the kernel answers EINVAL, not ENOENT: look.
    let still_there = tc
        .filters(ifindex, parent)
        .is_ok_and(|all| all.iter().any(|f| f.priority == priority && f.handle == handle));
    if still_there { Err(error.into()) } else { Ok(()) }
}

fn del_clsact(netns: &Netns, ifindex: u32) -> io::Result<()> {
    let mut tc = Tc::open(netns)?;
    if !tc.has_clsact(ifindex)? {
        return Ok(());
    }
    for parent in [Handle::CLSACT_INGRESS, Handle::CLSACT_EGRESS] {
        if !tc.filters(ifindex, parent)?.is_empty() {
            return Ok(());
        }
    }
    forgive_absent_tc(tc.del_clsact(ifindex))
}

fn del_root(netns: &Netns, ifindex: u32, handle: Handle) -> io::Result<()> {
    let mut tc = Tc::open(netns)?;
    if tc.root(ifindex)?.is_none_or(|root| root.handle != handle) {
        return Ok(());
    }
    forgive_absent_tc(tc.del_qdisc(ifindex, Handle::ROOT, handle))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::host::{
        tc::{Htb, Prio, QdiscSpec, Tbf},
        test_support::{private_netns, skipped},
    };

    const LO: u32 = 1;
    const OURS: Handle = Handle::new(0xfa17, 0);

    fn replay_twice(undo: &Undo) {
        let json = serde_json::to_string(undo).unwrap();
        let undo: Undo = serde_json::from_str(&json).unwrap();
        undo.replay().unwrap();
        undo.replay().unwrap();
    }

    /// Whatever classful or classless qdisc this kernel has.
    fn add_some_root(tc: &mut Tc, handle: Handle) -> bool {
        let tbf = Tbf { rate: 1 << 30, burst: 1 << 20, limit: 1 << 20 };
        [QdiscSpec::Prio(Prio::default()), QdiscSpec::Htb(Htb::default()), QdiscSpec::Tbf(tbf)]
            .iter()
            .any(|spec| tc.add_qdisc(LO, Handle::ROOT, handle, spec).is_ok())
    }

    #[test]
    fn a_file_gets_its_content_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("value");
        fs::write(&file, "a longer value\n").unwrap();
        let path = file.display().to_string();
        let undo = Undo::WriteFile { path, content: "0\n".into() };
        replay_twice(&undo);
        assert_eq!(fs::read_to_string(&file).unwrap(), "0\n");
        fs::remove_file(&file).unwrap();
        replay_twice(&undo);
        assert!(!file.exists(), "the undo made a file");
    }

    #[test]
    fn stopped_processes_go_on_and_reused_ids_are_left_alone() {
        use crate::host::process::stat::Stat;

        let state = |pid| Stat::read(pid).map(|s| s.state).unwrap();
        let stopped = || {
            let child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
            let process = ProcessRef {
                pid: child.id(),
                start_time: Stat::read(child.id()).unwrap().start_time,
            };
            process.signal(libc::SIGSTOP).unwrap();
            while state(child.id()) != 'T' {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            (child, process)
        };
        let (mut ours, process) = stopped();
        let (mut other, stranger) = stopped();
        let reused = ProcessRef { start_time: stranger.start_time + 1, ..stranger };
        replay_twice(&Undo::Resume { processes: vec![reused, process] });
        assert_ne!(state(process.pid), 'T');
        assert_eq!(state(stranger.pid), 'T', "whoever has the id now was continued");
        for child in [&mut ours, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        replay_twice(&Undo::Resume { processes: vec![process] });
    }

    #[test]
    fn a_refusal_is_told() {
        let undo = Undo::WriteFile { path: "/proc/version".into(), content: "x".into() };
        let error = undo.replay().unwrap_err().to_string();
        assert!(error.contains("/proc/version"), "{error}");
    }

    #[test]
    fn a_sysctl_gets_its_value_back() {
        let Some(netns) = private_netns() else { return skipped("needs root") };
        let key = "net.ipv4.conf.lo.route_localnet";
        let value = sysctl::read(&netns, key).unwrap();
        let undo = Undo::Sysctl { netns: netns.reference(), key: key.into(), value: value.clone() };
        sysctl::write(&netns, key, if value == "0" { "1" } else { "0" }).unwrap();
        replay_twice(&undo);
        assert_eq!(sysctl::read(&netns, key).unwrap(), value);

        let gone = Undo::Sysctl {
            netns: netns.reference(),
            key: "net.ipv4.conf.gone0.route_localnet".into(),
            value,
        };
        replay_twice(&gone);
    }

    #[test]
    fn a_root_qdisc_goes_only_while_it_is_ours() {
        let Some(netns) = private_netns() else { return skipped("needs root") };
        let mut tc = Tc::open(&netns).unwrap();
        let before = tc.root(LO).unwrap();
        let undo = Undo::RootQdisc { netns: netns.reference(), ifindex: LO, handle: OURS };
        if !add_some_root(&mut tc, OURS) {
            return skipped("this kernel has no qdisc to try with");
        }
        replay_twice(&undo);
        // lo may not name its default once it had another; no handle either way.
        assert_eq!(tc.root(LO).unwrap().map(|q| q.handle), before.map(|q| q.handle));

        let theirs = Handle::new(0x42, 0);
        assert!(add_some_root(&mut tc, theirs));
        replay_twice(&undo);
        assert_eq!(tc.root(LO).unwrap().unwrap().handle, theirs);
    }

    #[test]
    fn a_clsact_goes_and_absent_interfaces_are_fine() {
        let Some(netns) = private_netns() else { return skipped("needs root") };
        let mut tc = Tc::open(&netns).unwrap();
        if tc.add_clsact(LO).is_err() {
            return skipped("no clsact in this kernel");
        }
        let netns_ref = netns.reference();
        replay_twice(&Undo::Clsact { netns: netns_ref.clone(), ifindex: LO });
        assert!(!tc.has_clsact(LO).unwrap());
        for ifindex in [LO, 9999] {
            let netns = netns_ref.clone();
            replay_twice(&Undo::Clsact { netns: netns.clone(), ifindex });
            replay_twice(&Undo::RootQdisc { netns: netns.clone(), ifindex, handle: OURS });
            let parent = Handle::CLSACT_EGRESS;
            replay_twice(&Undo::TcFilter { netns, ifindex, parent, priority: 1, handle: 1 });
        }
    }

    #[test]
    fn a_vanished_namespace_took_its_effects_along() {
        let Some(netns) = private_netns() else { return skipped("needs root") };
        let netns_ref = netns.reference();
        drop(netns);
        replay_twice(&Undo::Clsact { netns: netns_ref.clone(), ifindex: LO });
        replay_twice(&Undo::Sysctl { netns: netns_ref, key: "net.x".into(), value: "1".into() });
    }
}
