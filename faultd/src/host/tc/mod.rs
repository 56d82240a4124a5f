//! Traffic control: queueing disciplines and classifiers of the interfaces of
//! one network namespace.

mod handle;
mod netem;
mod qdisc;
mod wire;

use std::{io, os::fd::BorrowedFd};

use crate::host::{
    netlink::{NetlinkError, Request, Socket},
    netns::Netns,
};

pub use handle::Handle;
pub use netem::{Netem, NetemLoss, PROBABILITY_ONE, probability};
pub use qdisc::{Fq, Htb, Prio, QdiscSpec, Tbf};
use wire::{add_bpf_filter_request, add_qdisc_request, parse_filter, parse_qdisc, tcmsg};

/// What was tried, and the kernel's answer.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct TcError {
    /// In words.
    pub what: String,
    /// The kernel's answer.
    #[source]
    pub source: NetlinkError,
}

impl TcError {
    /// Whether what was named does not exist (any more).
    pub fn is_absent(&self) -> bool {
        self.source.is_absent()
    }
}

/// A queueing discipline as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qdisc {
    /// The interface.
    pub ifindex: u32,
    /// `fq`, `noqueue`, `clsact`, …
    pub kind: String,
    /// Zero for one that the kernel put there itself.
    pub handle: Handle,
    /// [`Handle::ROOT`] for the root.
    pub parent: Handle,
}

/// A classifier (filter) as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The interface.
    pub ifindex: u32,
    /// Where it hangs ([`Handle::CLSACT_EGRESS`], …).
    pub parent: Handle,
    /// Lower ones run first.
    pub priority: u16,
    /// Ethernet protocol, host order (0x0003 = all).
    pub protocol: u16,
    /// Its number within its priority.
    pub handle: u32,
    /// `bpf`, `u32`, …
    pub kind: String,
    /// Name of a BPF classifier.
    pub bpf_name: Option<String>,
    /// Program id of a BPF classifier.
    pub bpf_id: Option<u32>,
}

/// Traffic control of one network namespace.
pub struct Tc {
    socket: Socket,
}

impl Tc {
    /// Opens a connection to the kernel in a namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered or has no rtnetlink.
    pub fn open(netns: &Netns) -> Result<Self, TcError> {
        let what = || format!("cannot talk to the kernel's traffic control in {netns}");
        let socket = Socket::route(netns).map_err(|source| TcError { what: what(), source })?;
        Ok(Self { socket })
    }

    /// The queueing disciplines of one interface, or of all.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn qdiscs(&mut self, ifindex: Option<u32>) -> Result<Vec<Qdisc>, TcError> {
        let fixed = tcmsg(0, Handle::NONE, Handle::NONE, 0);
        let mut found = Vec::new();
        self.socket
            .dump(Request::new(libc::RTM_GETQDISC, 0, &fixed), |kind, payload| {
                if kind == libc::RTM_NEWQDISC
                    && let Some(qdisc) = parse_qdisc(payload)
                    && ifindex.is_none_or(|i| i == qdisc.ifindex)
                {
                    found.push(qdisc);
                }
            })
            .map_err(|source| TcError { what: "cannot list qdiscs".into(), source })?;
        Ok(found)
    }

    /// The root qdisc of an interface.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn root(&mut self, ifindex: u32) -> Result<Option<Qdisc>, TcError> {
        Ok(self.qdiscs(Some(ifindex))?.into_iter().find(|q| q.parent == Handle::ROOT))
    }

    /// Whether the interface has a clsact qdisc.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn has_clsact(&mut self, ifindex: u32) -> Result<bool, TcError> {
        Ok(self.qdiscs(Some(ifindex))?.iter().any(|q| q.kind == "clsact"))
    }

    /// Adds a qdisc; fails when there is one with that parent already, except
    /// that one the kernel put at the root by default is replaced.
    ///
    /// # Errors
    /// The kernel's answer; ENOENT when it does not know the qdisc's kind.
    pub fn add_qdisc(
        &mut self,
        ifindex: u32,
        parent: Handle,
        handle: Handle,
        spec: &QdiscSpec,
    ) -> Result<(), TcError> {
        let request = add_qdisc_request(ifindex, parent, handle, spec);
        self.socket.request(request).map_err(|source| TcError {
            what: format!("cannot add qdisc {} to interface {ifindex}", spec.kind()),
            source,
        })
    }

    /// Deletes the qdisc with that parent; with a handle only if it still has
    /// it. At the root the kernel puts its default back.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn del_qdisc(
        &mut self,
        ifindex: u32,
        parent: Handle,
        handle: Handle,
    ) -> Result<(), TcError> {
        let request = Request::new(libc::RTM_DELQDISC, 0, &tcmsg(ifindex, handle, parent, 0));
        self.socket.request(request).map_err(|source| TcError {
            what: format!("cannot delete qdisc {handle} of interface {ifindex}"),
            source,
        })
    }

    /// Adds the clsact qdisc, the attach point of classifiers.
    ///
    /// # Errors
    /// The kernel's answer; EEXIST when there is one.
    pub fn add_clsact(&mut self, ifindex: u32) -> Result<(), TcError> {
        self.add_qdisc(ifindex, Handle::CLSACT, Handle::CLSACT_QDISC, &QdiscSpec::Clsact)
    }

    /// Deletes the clsact qdisc with every filter on it.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn del_clsact(&mut self, ifindex: u32) -> Result<(), TcError> {
        self.del_qdisc(ifindex, Handle::CLSACT, Handle::CLSACT_QDISC)
    }

    /// The classifiers under a parent of an interface.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn filters(&mut self, ifindex: u32, parent: Handle) -> Result<Vec<Filter>, TcError> {
        let fixed = tcmsg(ifindex, Handle::NONE, parent, 0);
        let mut found = Vec::new();
        let result =
            self.socket.dump(Request::new(libc::RTM_GETTFILTER, 0, &fixed), |kind, payload| {
                if kind == libc::RTM_NEWTFILTER
                    && let Some(filter) = parse_filter(payload)
                {
                    found.push(filter);
                }
            });
        result.map_err(|source| TcError {
            what: format!("cannot list filters of interface {ifindex}"),
            source,
        })?;
        Ok(found)
    }

    /// Adds a BPF classifier whose return value is the verdict, for every
    /// protocol. It outlives this process: record its undo first.
    ///
    /// # Errors
    /// The kernel's answer; EEXIST when priority and handle are taken.
    pub fn add_bpf_filter(
        &mut self,
        ifindex: u32,
        parent: Handle,
        priority: u16,
        handle: u32,
        program: BorrowedFd<'_>,
        name: &str,
    ) -> Result<(), TcError> {
        let request = add_bpf_filter_request(ifindex, parent, priority, handle, program, name);
        self.socket.request(request).map_err(|source| TcError {
            what: format!("cannot add classifier {name} to interface {ifindex}"),
            source,
        })
    }

    /// Deletes one classifier.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn del_filter(
        &mut self,
        ifindex: u32,
        parent: Handle,
        priority: u16,
        handle: u32,
    ) -> Result<(), TcError> {
        // Protocol 0 stands for any (net/sched/cls_api.c, tcf_chain_tp_find()).
        let fixed = tcmsg(ifindex, Handle(handle), parent, u32::from(priority) << 16);
        self.socket.request(Request::new(libc::RTM_DELTFILTER, 0, &fixed)).map_err(|source| {
            TcError {
                what: format!("cannot delete filter {priority}/{handle:#x} of interface {ifindex}"),
                source,
            }
        })
    }
}

impl From<TcError> for io::Error {
    fn from(error: TcError) -> Self {
        Self::new(Self::from(error.source.errno).kind(), error)
    }
}

#[cfg(test)]
mod tests;
