//! Where in the index a rule goes.

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
/// processes, else the smallest set of ports, else remote addresses. A rule
/// that names none of these, or whose nodes would not fit into `room`, is tried
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
    Place { keys: vec![Key::Wild], flag: 0 }
}

fn count(set: &PortSet) -> usize {
    set.ranges().iter().map(|range| usize::from(range.high - range.low) + 1).sum()
}

fn remote(net: IpNet) -> Key {
    let (prefix, len) = address::prefix(net);
    Key::Remote(Net { prefix, len })
}
