//! Where in the index a rule goes.

use std::collections::BTreeSet;

use faultd_abi as abi;
use faultd_api::PortSet;
use ipnet::IpNet;

use super::{
    address,
    index::{Key, Net},
    spec::{RuleSpec, Scope},
};

/// A set of more ports than this is no good key: it would take as many nodes.
const MAX_PORTS: usize = 1024;

/// The keys that lead to a rule, all in one dimension, and the flag that tells
/// the programs which of the rule's sets they come from.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// The keys.
    pub keys: Vec<Key>,
    /// A `FLAG_INDEX_*` bit, or 0.
    pub flag: u32,
}

/// Chooses the dimension that keeps a rule out of the way of the most packets:
/// processes, else the smallest set of ports, else remote addresses, else
/// interfaces. A rule that names none of these, or whose nodes would not fit into `room`, is tried
/// on every packet.
///
/// A rule for processes (pids) has its keys made by [`super::pids`].
pub fn place(spec: &RuleSpec, room: usize) -> Place {
    match &spec.scope {
        Scope::Any => {}
        Scope::Cgroup { id, .. } => return Place { keys: vec![Key::Cgroup(*id)], flag: 0 },
        Scope::Uid(uid) => return Place { keys: vec![Key::Uid(*uid)], flag: 0 },
        Scope::Pids(_) => return Place { keys: Vec::new(), flag: 0 },
    }
    let sets = [
        (&spec.port, abi::FLAG_INDEX_PORT),
        (&spec.local_port, abi::FLAG_INDEX_LOCAL),
        (&spec.remote_port, abi::FLAG_INDEX_REMOTE_PORT),
    ];
    let smallest = sets
        .into_iter()
        .filter_map(|(set, flag)| set.as_ref().map(|set| (count(set), set, flag)))
        .min_by_key(|(count, ..)| *count);
    if let Some((count, set, flag)) = smallest
        && count <= MAX_PORTS.min(room)
    {
        let ports = set.ranges().iter().flat_map(|range| range.low..=range.high);
        return Place { keys: ports.map(Key::Port).collect(), flag };
    }
    if !spec.remotes.is_empty() && spec.remotes.len() <= room {
        let nets = IpNet::aggregate(&spec.remotes);
        return Place {
            keys: nets.into_iter().map(remote).collect(),
            flag: abi::FLAG_INDEX_REMOTE_PREFIX,
        };
    }
    if !spec.ifindexes.is_empty() && spec.ifindexes.len() <= room {
        // Once each, although a name may stand there twice.
        let ifindexes: BTreeSet<u32> = spec.ifindexes.iter().copied().collect();
        return Place { keys: ifindexes.into_iter().map(Key::Interface).collect(), flag: 0 };
    }
    Place { keys: vec![Key::Wild], flag: 0 }
}

fn count(set: &PortSet) -> usize {
    set.ranges().iter().map(|range| usize::from(range.high - range.low) + 1).sum()
}

fn remote(net: IpNet) -> Key {
    let (prefix, len) = address::prefix(net);
    Key::Remote(Net { prefix, len })
}

#[cfg(test)]
mod tests {
    use faultd_api::PortSet;

    use super::*;
    use crate::fault::net::plane::tests::harness::rule;

    /// Nodes without end.
    const ROOM: usize = usize::MAX;

    fn ports(text: &str) -> Option<PortSet> {
        Some(text.parse().unwrap())
    }

    fn nets(text: &str) -> Vec<IpNet> {
        text.split(',').map(|net| net.parse().unwrap()).collect()
    }

    fn wild() -> Place {
        Place { keys: vec![Key::Wild], flag: 0 }
    }

    #[test]
    fn a_rule_that_names_nothing_exact_is_tried_on_every_packet() {
        let mut spec = rule();
        assert_eq!(place(&spec, ROOM), wild());
        spec.except_port = ports("22");
        spec.except_remotes = nets("10.0.0.0/8");
        assert_eq!(place(&spec, ROOM), wild());
    }

    #[test]
    fn every_port_of_every_range_leads_to_the_rule() {
        let spec = RuleSpec { port: ports("80,8000-8002"), ..rule() };
        let keys = [80, 8000, 8001, 8002].map(Key::Port).to_vec();
        assert_eq!(place(&spec, ROOM), Place { keys, flag: abi::FLAG_INDEX_PORT });
    }

    #[test]
    fn the_smallest_set_of_ports_is_the_key() {
        let spec = RuleSpec {
            port: ports("1-100"),
            local_port: ports("7-9"),
            remote_port: ports("443"),
            remotes: nets("192.0.2.0/24"),
            ..rule()
        };
        let keys = vec![Key::Port(443)];
        assert_eq!(place(&spec, ROOM), Place { keys, flag: abi::FLAG_INDEX_REMOTE_PORT });
        let spec = RuleSpec { remote_port: None, ..spec };
        assert_eq!(place(&spec, ROOM).flag, abi::FLAG_INDEX_LOCAL);
    }

    #[test]
    fn too_many_ports_are_no_key() {
        let most = RuleSpec { port: ports("1-1024"), ..rule() };
        assert_eq!(place(&most, ROOM).keys.len(), MAX_PORTS);
        assert_eq!(place(&most, MAX_PORTS - 1), wild());
        let more = RuleSpec { port: ports("1-1025"), ..rule() };
        assert_eq!(place(&more, ROOM), wild());
        let beside = RuleSpec { remotes: nets("192.0.2.1/32"), ..more };
        assert_eq!(place(&beside, ROOM).flag, abi::FLAG_INDEX_REMOTE_PREFIX);
    }

    #[test]
    fn neighbouring_networks_share_a_key() {
        let spec =
            RuleSpec { remotes: nets("192.0.2.0/25,192.0.2.128/25,2001:db8::/32"), ..rule() };
        let found = place(&spec, ROOM);
        let expected = nets("192.0.2.0/24,2001:db8::/32").into_iter().map(remote).collect();
        assert_eq!(found, Place { keys: expected, flag: abi::FLAG_INDEX_REMOTE_PREFIX });
        assert_eq!(place(&spec, 2), wild(), "no room");
    }

    #[test]
    fn interfaces_are_a_key_where_nothing_better_is() {
        let mut spec = RuleSpec { ifindexes: vec![7, 1, 7], ..rule() };
        let keys = vec![Key::Interface(1), Key::Interface(7)];
        assert_eq!(place(&spec, ROOM), Place { keys, flag: 0 });
        assert_eq!(place(&spec, 1), wild(), "no room");
        spec.port = ports("80");
        assert_eq!(place(&spec, ROOM).keys, [Key::Port(80)]);
    }

    #[test]
    fn processes_come_before_everything_else() {
        let spec = RuleSpec { port: ports("80"), remotes: nets("192.0.2.1/32"), ..rule() };
        let of = |scope| place(&RuleSpec { scope, ..spec.clone() }, ROOM);
        let at = |key| Place { keys: vec![key], flag: 0 };
        assert_eq!(of(Scope::Cgroup { id: 7, level: 2 }), at(Key::Cgroup(7)));
        assert_eq!(of(Scope::Uid(1000)), at(Key::Uid(1000)));
        assert_eq!(of(Scope::Pids(vec![1])), Place { keys: Vec::new(), flag: 0 });
    }
}
