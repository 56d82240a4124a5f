//! The catalogue: what each kind does, for `faultctl catalog` and the docs.

use serde::Serialize;

use crate::Kind;

/// One fault kind as the catalogue shows it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct KindInfo {
    /// Its name.
    pub kind: Kind,
    /// One line.
    pub summary: &'static str,
    /// A command to start from.
    pub example: &'static str,
    /// The page of the catalogue, in Markdown.
    #[serde(skip)]
    pub page: &'static str,
}

/// Every kind, in the order of the contract.
pub const CATALOG: &[KindInfo] = &[
    KindInfo {
        kind: Kind::Latency,
        summary: "hold packets before they go on",
        example: "faultctl inject latency --ms 500 --jitter 20 --port 8080 --for 60s",
        page: include_str!("../catalog/latency.md"),
    },
    KindInfo {
        kind: Kind::Loss,
        summary: "drop a share of the packets",
        example: "faultctl inject loss --percent 30 --port 8080 --for 60s",
        page: include_str!("../catalog/loss.md"),
    },
    KindInfo {
        kind: Kind::Partition,
        summary: "drop every packet, both ways",
        example: "faultctl inject partition --remote 10.0.0.7 --for 60s",
        page: include_str!("../catalog/partition.md"),
    },
    KindInfo {
        kind: Kind::Syscall,
        summary: "make system calls fail",
        example: "faultctl inject syscall --call openat --errno ENOSPC --path /var/lib/app --percent 10 --name app --for 60s",
        page: include_str!("../catalog/syscall.md"),
    },
    KindInfo {
        kind: Kind::Kill,
        summary: "send processes a signal, and watch who comes back",
        example: "faultctl inject kill --name worker --pick 50% --grace 10s --for 60s",
        page: include_str!("../catalog/kill.md"),
    },
    KindInfo {
        kind: Kind::Pause,
        summary: "make processes stand still, and go on afterwards",
        example: "faultctl inject pause --unit nginx.service --for 10s",
        page: include_str!("../catalog/pause.md"),
    },
    KindInfo {
        kind: Kind::Oom,
        summary: "have the kernel's out-of-memory killer take a process",
        example: "faultctl inject oom --container web --for 10s",
        page: include_str!("../catalog/oom.md"),
    },
];

impl KindInfo {
    /// The entry of one kind.
    pub fn of(kind: Kind) -> Option<&'static Self> {
        CATALOG.iter().find(|info| info.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_an_entry() {
        for kind in Kind::ALL {
            let info = KindInfo::of(*kind).unwrap_or_else(|| panic!("{kind} has no entry"));
            assert!(info.page.starts_with(&format!("# {kind}\n")), "{kind}: page title");
        }
    }
}
