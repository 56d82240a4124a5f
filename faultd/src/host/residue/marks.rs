//! What bears faultd's marks.

use std::{fmt, io};

use super::{bpf, netns::classifiers};
use crate::host::{
    cgroup::Mounts,
    links,
    netns::{self, Netns},
    tc::{Filter, Handle, Qdisc, Tc},
    undo::Undo,
};

/// How faultd's own things are told from other people's.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    /// Major number of its root qdiscs.
    pub qdisc_major: u16,
    /// Names of its BPF programs, at most 15 bytes each (the kernel cuts them
    /// there); a name alone is not enough…
    pub programs: &'a [&'a str],
    /// …so each also uses a map of one of these names, at most 15 bytes.
    pub maps: &'a [&'a str],
    /// How the names of its interfaces start.
    pub interface_prefix: &'a str,
    /// How the names of its control groups start.
    pub cgroup_prefix: &'a str,
}

/// Something that bears faultd's marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What it is and where.
    pub what: String,
    /// The processes that hold it open; empty for what nobody holds, and for
    /// what cannot be held.
    pub holders: Vec<u32>,
    /// Whether it could be held: then, without holders, it was left behind.
    pub can_be_held: bool,
    /// How a journal would take it back; a living daemon's has that.
    pub undo: Option<Undo>,
    /// The command that removes it, where there is one.
    pub remove: Option<String>,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match self.holders.as_slice() {
            [] if self.can_be_held => f.write_str(" (held by nobody)"),
            [] => Ok(()),
            holders => {
                let list = holders.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
                write!(f, " (held by process {list})")
            }
        }
    }
}

/// What of `traces` was left behind: what somebody could hold and nobody does,
/// and what a journal would name and none of those that are alive does
/// (`claimed`). Of anything else it cannot be told whether it is in use, so it
/// counts only while no program is held.
pub fn orphans<'t>(traces: &'t [Trace], claimed: &[Undo]) -> Vec<&'t Trace> {
    let alive = traces.iter().any(|t| !t.holders.is_empty());
    let is_orphan = |t: &&Trace| match &t.undo {
        Some(undo) => !claimed.iter().any(|claim| claim.is_about_the_same(undo)),
        None => t.holders.is_empty() && (t.can_be_held || !alive),
    };
    traces.iter().filter(is_orphan).collect()
}

/// Everything that bears the marks, held by a living daemon or not.
///
/// # Errors
/// When the kernel may not be asked; it takes root.
pub fn traces(marks: &Marks<'_>) -> io::Result<Vec<Trace>> {
    let mut found = programs(marks)?;
    for netns in netns::all() {
        // One that ends meanwhile took its things along.
        found.extend(in_namespace(marks, &netns).unwrap_or_default());
    }
    for mount in Mounts::read()?.iter() {
        super::walk(&mount.point, &mut |dir| {
            let name = dir.file_name().unwrap_or_default().as_encoded_bytes();
            if name.starts_with(marks.cgroup_prefix.as_bytes()) {
                let dir = dir.display();
                found.push(unheld(format!("control group {dir}"), format!("rmdir {dir}")));
            }
        });
    }
    found.sort_unstable_by(|a, b| a.what.cmp(&b.what));
    Ok(found)
}

fn unheld(what: String, remove: String) -> Trace {
    Trace { what, holders: Vec::new(), can_be_held: false, undo: None, remove: Some(remove) }
}

fn programs(marks: &Marks<'_>) -> io::Result<Vec<Trace>> {
    let ours: Vec<_> = crate::host::bpf::programs()?
        .into_iter()
        .filter(|p| marks.programs.contains(&p.name.as_str()))
        .filter(|p| p.maps.iter().any(|m| marks.maps.contains(&m.as_str())))
        .collect();
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let holders = bpf::holders();
    let trace = |p: crate::host::bpf::LoadedProgram| Trace {
        what: format!("BPF program {} (id {})", p.name, p.id),
        holders: holders.get(&p.id).into_iter().flatten().copied().collect(),
        can_be_held: true,
        // It goes with what holds it: a classifier, or a file below /sys/fs/bpf.
        undo: None,
        remove: None,
    };
    Ok(ours.into_iter().map(trace).collect())
}

fn in_namespace(marks: &Marks<'_>, netns: &Netns) -> io::Result<Vec<Trace>> {
    let mut found = Vec::new();
    let mut tc = Tc::open(netns)?;
    let links = links::list(netns).map_err(io::Error::other)?;
    let inside = match netns.is_current() {
        true => String::new(),
        false => format!("nsenter --net={} ", netns.hint().display()),
    };
    for link in links.iter().filter(|l| l.name.starts_with(marks.interface_prefix)) {
        let name = &link.name;
        let remove = format!("{inside}ip link delete {name}");
        found.push(unheld(format!("interface {name} in {netns}"), remove));
    }
    let ours = |q: &Qdisc| q.parent == Handle::ROOT && q.handle.major() == marks.qdisc_major;
    for qdisc in tc.qdiscs(None)?.into_iter().filter(ours) {
        let Some(link) = links.iter().find(|l| l.ifindex == qdisc.ifindex) else { continue };
        let (kind, handle, name) = (&qdisc.kind, qdisc.handle, &link.name);
        let netns_ref = netns.reference();
        found.push(Trace {
            undo: Some(Undo::RootQdisc { netns: netns_ref, ifindex: link.ifindex, handle }),
            ..unheld(
                format!("root qdisc {kind} {handle} on {name} in {netns}"),
                format!("{inside}tc qdisc delete dev {name} root"),
            )
        });
    }
    for link in &links {
        for filter in classifiers(&mut tc, link.ifindex)? {
            let name = filter.bpf_name.as_deref().unwrap_or_default();
            // Loaders add a file or section name to the program's.
            let is_ours = |p: &&str| *name == **p || name.starts_with(&format!("{p}:"));
            if marks.programs.iter().any(is_ours) {
                found.push(classifier(netns, &link.name, &filter, &inside));
            }
        }
    }
    Ok(found)
}

fn classifier(netns: &Netns, device: &str, filter: &Filter, inside: &str) -> Trace {
    let Filter { ifindex, parent, priority, handle, .. } = *filter;
    let name = filter.bpf_name.as_deref().unwrap_or_default();
    let way = if parent == Handle::CLSACT_INGRESS { "ingress" } else { "egress" };
    let undo = Undo::TcFilter { netns: netns.reference(), ifindex, parent, priority, handle };
    Trace {
        undo: Some(undo),
        ..unheld(
            format!("classifier {name} on {device} in {netns}"),
            format!(
                "{inside}tc filter delete dev {device} {way} pref {priority} handle {handle:#x} bpf"
            ),
        )
    }
}
