//! What faults could leave behind on a host, in one place: for
//! `faultd recover`, for `doctor` and for tests.
//!
//! Two questions are answered:
//! - [`Snapshot`]: is the host as it was? Everything that faults touch, before
//!   and after, whoever changed it.
//! - [`traces`]: what bears faultd's marks now? Names and handles that no
//!   other program uses ([`Marks`]), and whether a process still holds them.

mod bpf;
mod marks;
mod netns;
mod processes;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::Path,
};

pub use marks::{Marks, Trace, orphans, traces};

use super::{
    bpf::{LinkKind, LoadedLink},
    cgroup::Mounts,
};

/// Files outside any network namespace that faults write.
const FILES: [&str; 2] = ["/sys/kernel/rcu_expedited", "/sys/kernel/rcu_normal"];

/// Everything on this host that faults touch, at one moment: one line of text
/// for each thing, by the place where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    things: BTreeMap<String, BTreeSet<String>>,
}

/// What differs between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A network namespace, a file, `bpf links`, …
    pub place: String,
    /// What is there.
    pub thing: String,
    /// Whether it came, or else went.
    pub appeared: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.appeared { "new" } else { "gone" };
        write!(f, "{}: {what}: {}", self.place, self.thing)
    }
}

impl Snapshot {
    /// Looks at every network namespace in sight, at the BPF programs and
    /// links that the kernel holds, at processes, control groups and global
    /// switches.
    ///
    /// Ten milliseconds or so on a host with a few namespaces.
    ///
    /// # Errors
    /// When the kernel may not be asked; it takes root.
    pub fn take() -> io::Result<Self> {
        let mut things: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for netns in super::netns::all() {
            // One that ends meanwhile is as good as one that was not there.
            if let Ok(lines) = netns::lines(&netns) {
                things.insert(format!("network namespace {}", netns.ino()), lines);
            }
        }
        things.insert("bpf programs".into(), bpf::programs()?);
        things.insert("bpf links".into(), super::bpf::links()?.iter().map(link_line).collect());
        let (groups, switches) = control_groups()?;
        things.insert("control groups".into(), groups);
        things.insert("switches of control groups".into(), switches);
        things.insert("stopped processes".into(), processes::stopped());
        for file in FILES {
            if let Ok(content) = fs::read_to_string(file) {
                things.insert(file.to_owned(), BTreeSet::from([content.trim().to_owned()]));
            }
        }
        Ok(Self { things })
    }

    /// What came and went from this snapshot to `later`.
    pub fn differences(&self, later: &Self) -> Vec<Difference> {
        let none = BTreeSet::new();
        let places: BTreeSet<&String> = self.things.keys().chain(later.things.keys()).collect();
        let mut found = Vec::new();
        for place in places {
            let before = self.things.get(place).unwrap_or(&none);
            let after = later.things.get(place).unwrap_or(&none);
            let changed = |thing: &String, appeared| Difference {
                place: place.clone(),
                thing: thing.clone(),
                appeared,
            };
            found.extend(before.difference(after).map(|thing| changed(thing, false)));
            found.extend(after.difference(before).map(|thing| changed(thing, true)));
        }
        found
    }
}

fn link_line(link: &LoadedLink) -> String {
    let place = match link.kind {
        LinkKind::Tcx { ifindex, egress: true } => format!("tcx egress of interface {ifindex}"),
        LinkKind::Tcx { ifindex, egress: false } => format!("tcx ingress of interface {ifindex}"),
        LinkKind::Cgroup { id } => format!("control group {id}"),
        LinkKind::Other(kind) => format!("link type {kind}"),
    };
    format!("link {}: program {} on {place}", link.id, link.program)
}

/// The paths of all control groups, in every hierarchy, and those of their
/// switches that somebody has touched.
fn control_groups() -> io::Result<(BTreeSet<String>, BTreeSet<String>)> {
    let (mut found, mut switches) = (BTreeSet::new(), BTreeSet::new());
    for mount in Mounts::read()?.iter() {
        walk(&mount.point, &mut |dir| {
            found.insert(dir.display().to_string());
            processes::switches(dir, &mut switches);
        });
    }
    Ok((found, switches))
}

fn walk(dir: &Path, each: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
        let path = entry.path();
        each(&path);
        walk(&path, each);
    }
}

#[cfg(test)]
mod tests;
