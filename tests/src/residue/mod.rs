//! What a fault could leave behind, as the kernel and iproute2 report it.
//!
//! A [`Snapshot`] covers the network namespaces of one test and those global
//! things that faultd changes. Programs and links have global ids and other
//! tests run at the same time, so for them the question is another one: a
//! program or link that nobody holds a descriptor of was left behind.

mod bpf;
mod net;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use crate::{Netns, Peer, cgroup, slowly, wait::holds_within};

/// The state of what faultd may change, by the place it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    state: BTreeMap<String, String>,
    orphans: Vec<String>,
}

/// Every daemon writes 1 here for the moment of an attachment, other tests'
/// daemons too: a 1 that was there before and is gone is no residue.
const EXPEDITED: &str = "/sys/kernel/rcu_expedited";

impl Snapshot {
    /// Reads everything.
    pub fn take(_: &Netns, peers: &[Peer]) -> Self {
        let mut state = BTreeMap::new();
        net::read("here", &mut state);
        for (i, peer) in peers.iter().enumerate() {
            peer.run(|| net::read(&format!("peer {i}"), &mut state));
        }
        // Other tests' daemons turn it on for a moment; one that was left on
        // stays on.
        let mut expedited = String::new();
        holds_within(slowly(Duration::from_secs(1)), || {
            expedited = fs::read_to_string(EXPEDITED).unwrap_or_default();
            expedited.trim() != "1"
        });
        state.insert(EXPEDITED.to_owned(), expedited.trim().to_owned());
        state.insert("control groups".to_owned(), own_cgroups().join(" "));
        Self { state, orphans: bpf::orphans() }
    }

    /// What differs from `before`, one line each.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let mut out = Vec::new();
        let places = self.state.keys().chain(before.state.keys());
        let mut places: Vec<_> = places.collect();
        places.sort();
        places.dedup();
        for place in places {
            let (was, is) = (before.state.get(place), self.state.get(place));
            let other_daemon = place == EXPEDITED && is.is_some_and(|is| is == "0");
            if was != is && !other_daemon {
                out.push(format!("{place}:\n  was {was:?}\n  is  {is:?}"));
            }
        }
        for orphan in &self.orphans {
            if !before.orphans.contains(orphan) {
                out.push(format!("left in the kernel: {orphan}"));
            }
        }
        out
    }

    /// Waits until everything is as it was; what still differs then.
    pub fn settle(&self, here: &Netns, peers: &[Peer], limit: Duration) -> Vec<String> {
        let mut differences = Vec::new();
        // Programs are freed after a grace period, TAP devices by a work queue.
        holds_within(slowly(limit), || {
            differences = Self::take(here, peers).differences(self);
            differences.is_empty()
        });
        differences
    }
}

/// Groups named after faultd, those of the tests excepted.
fn own_cgroups() -> Vec<String> {
    let mut found = Vec::new();
    let roots = cgroup::v2_mount().into_iter().chain(["/sys/fs/cgroup".into()]);
    for root in roots {
        walk(&root, 4, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn walk(dir: &Path, depth: usize, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|t| t.is_dir()) {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains("faultd") && !name.starts_with(cgroup::PREFIX) {
            found.push(entry.path().display().to_string());
        }
        if depth > 0 {
            walk(&entry.path(), depth - 1, found);
        }
    }
}
