//! Programs and links that nobody holds.

use std::{collections::BTreeSet, fs};

use crate::bpf;

/// Names of faultd's programs begin so (the kernel cuts names at 15 bytes).
const NAMES: [&str; 10] = [
    "tc_egress",
    "tc_ingress",
    "cg_ingress",
    "sock_create",
    "task_fork_1",
    "task_fork_2",
    "task_fork_3",
    "task_fork_4",
    "tap_ingress",
    "faultd_syscall",
];

/// Programs named like faultd's, and links, that no live process has a
/// descriptor of.
pub fn orphans() -> Vec<String> {
    // Read before the holders: what is loaded meanwhile is not in the list, and
    // what is released meanwhile shows up once at most, and not at the next look.
    let programs = bpf::programs();
    let links = bpf::links();
    let (held_programs, held_links) = held();
    let mut found = Vec::new();
    for id in programs.difference(&held_programs) {
        let Ok((name, _)) = bpf::run_stats(*id) else { continue };
        if NAMES.iter().any(|n| name == *n) {
            found.push(format!("program {id} ({name})"));
        }
    }
    found.extend(links.difference(&held_links).map(|id| format!("link {id}")));
    found
}

fn held() -> (BTreeSet<u32>, BTreeSet<u32>) {
    let (mut programs, mut links) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        let (p, l) = bpf::held_by(pid);
        programs.extend(p);
        links.extend(l);
    }
    (programs, links)
}
