//! What there is in one network namespace.

use std::{collections::BTreeSet, io};

use crate::host::{
    links,
    netns::Netns,
    sysctl,
    tc::{Filter, Handle, Tc},
};

/// Sysctls that faults change.
const SYSCTLS: [&str; 4] = [
    "net.ipv4.conf.lo.accept_local",
    "net.ipv4.conf.lo.route_localnet",
    "net.ipv4.conf.lo.rp_filter",
    "net.ipv4.conf.all.rp_filter",
];

/// One line for each interface, qdisc, classifier and sysctl.
pub(super) fn lines(netns: &Netns) -> io::Result<BTreeSet<String>> {
    let mut lines = BTreeSet::new();
    let mut tc = Tc::open(netns)?;
    for link in links::list(netns).map_err(io::Error::other)? {
        let up = if link.up { "up" } else { "down" };
        let kind = link.kind.as_deref().unwrap_or("device");
        lines.insert(format!("interface {} ({kind}), {up}, mtu {}", link.name, link.mtu));
        for qdisc in tc.qdiscs(Some(link.ifindex))? {
            let (kind, at) = (&qdisc.kind, qdisc.parent);
            lines.insert(format!("qdisc {kind} {} at {at} on {}", qdisc.handle, link.name));
        }
        for filter in classifiers(&mut tc, link.ifindex)? {
            lines.insert(format!(
                "classifier {} {}/{:#x} {} on {}",
                filter.kind,
                filter.priority,
                filter.handle,
                filter.bpf_name.unwrap_or_default(),
                link.name
            ));
        }
    }
    for key in SYSCTLS {
        if let Ok(value) = sysctl::read(netns, key) {
            lines.insert(format!("{key} = {value}"));
        }
    }
    Ok(lines)
}

/// The classifiers of both directions of an interface.
pub(super) fn classifiers(tc: &mut Tc, ifindex: u32) -> io::Result<Vec<Filter>> {
    let mut found = tc.filters(ifindex, Handle::CLSACT_INGRESS)?;
    found.extend(tc.filters(ifindex, Handle::CLSACT_EGRESS)?);
    Ok(found)
}
