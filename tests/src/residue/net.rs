//! One network namespace: links, queues, filters, programs, addresses, sysctls.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{bpf, command};

/// Fields of `ip -d -j link` that only a change of ours would alter; counters
/// and the carrier's state come and go by themselves.
const LINK_FIELDS: [&str; 9] =
    ["ifindex", "link_type", "mtu", "qdisc", "txqlen", "master", "address", "promiscuity", "group"];

/// Sysctls of one interface that have to do with where packets may come from.
const SYSCTLS: [&str; 5] =
    ["route_localnet", "accept_local", "rp_filter", "forwarding", "arp_ignore"];

/// Reads the calling thread's namespace; keys begin with `label`.
pub fn read(label: &str, out: &mut BTreeMap<String, String>) {
    let links = command::json("ip -d -j link show");
    for link in links.as_array().into_iter().flatten() {
        let Some(name) = link["ifname"].as_str() else { continue };
        let place = |what: &str| format!("{label}, {name}: {what}");
        let fields = LINK_FIELDS.map(|f| format!("{f}={}", link[f]));
        let kind = &link["linkinfo"]["info_kind"];
        out.insert(place("link"), format!("{} kind={kind}", fields.join(" ")));
        let ifindex = link["ifindex"].as_u64().and_then(|i| u32::try_from(i).ok());
        out.insert(place("TCX"), format!("{:?}", ifindex.map(bpf::tcx)));
        for hook in ["ingress", "egress", "root"] {
            let filters = command::run(&format!("tc filter show dev {name} {hook}"));
            out.insert(place(&format!("filters at {hook}")), filters.trim().to_owned());
        }
        for sysctl in SYSCTLS {
            let path = format!("/proc/sys/net/ipv4/conf/{name}/{sysctl}");
            out.insert(place(sysctl), file(&path));
        }
    }
    for sysctl in SYSCTLS {
        let path = format!("/proc/sys/net/ipv4/conf/all/{sysctl}");
        out.insert(format!("{label}: all {sysctl}"), file(&path));
    }
    out.insert(format!("{label}: qdiscs"), qdiscs());
    for (what, line) in [
        ("addresses", "ip -o -4 address show"),
        ("routes", "ip -4 route show table all"),
        ("rules", "ip rule show"),
    ] {
        out.insert(format!("{label}: {what}"), command::run(line).trim().to_owned());
    }
}

fn qdiscs() -> String {
    let list = command::json("tc -d -j qdisc show");
    let list = list.as_array().cloned().unwrap_or_default();
    let text = list.iter().map(|q| {
        let field = |name: &str| q.get(name).map_or_else(String::new, Value::to_string);
        ["dev", "kind", "handle", "parent", "root", "options"].map(field).join(" ")
    });
    text.collect::<Vec<_>>().join("\n")
}

fn file(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|e| e.to_string(), |text| text.trim().to_owned())
}
