//! Which sockets are asked for.

use std::collections::HashSet;

use faultd_api::{PortSet, Proto};
use ipnet::IpNet;

use super::LiveSocket;

/// Which sockets to list; every field narrows, as in a target.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// TCP or UDP only. (`Icmp` has no sockets here and matches none.)
    pub proto: Option<Proto>,
    /// Port at either end.
    pub port: Option<PortSet>,
    /// Port at this end.
    pub local_port: Option<PortSet>,
    /// Port at the other end.
    pub remote_port: Option<PortSet>,
    /// Port at neither end.
    pub except_port: Option<PortSet>,
    /// The other end lies in one of these.
    pub remote: Vec<IpNet>,
    /// The other end lies in none of these.
    pub except_remote: Vec<IpNet>,
    /// One of these inodes.
    pub inodes: Option<HashSet<u64>>,
    /// Made in one of these cgroup-v2 groups (by id).
    pub cgroups: Option<HashSet<u64>>,
    /// Owned by this user.
    pub uid: Option<u32>,
}

impl Query {
    /// Whether a socket is asked for. A socket without a peer (listening,
    /// unconnected UDP) may come to talk to any remote end, so it matches
    /// whatever is said about the remote one.
    pub fn matches(&self, socket: &LiveSocket) -> bool {
        let (local, remote) = (socket.local.port(), socket.remote.port());
        let has_peer = remote != 0;
        let in_set = |set: &Option<PortSet>, port| set.as_ref().is_none_or(|s| s.contains(port));
        let in_nets = |nets: &[IpNet]| nets.iter().any(|n| n.contains(&socket.remote.ip()));
        self.proto.is_none_or(|p| p == socket.proto)
            && self.port.as_ref().is_none_or(|s| s.contains(local) || s.contains(remote))
            && in_set(&self.local_port, local)
            && (!has_peer || in_set(&self.remote_port, remote))
            && !self.except_port.as_ref().is_some_and(|s| s.contains(local) || s.contains(remote))
            && (self.remote.is_empty() || !has_peer || in_nets(&self.remote))
            && !(has_peer && in_nets(&self.except_remote))
            && self.inodes.as_ref().is_none_or(|set| set.contains(&socket.inode))
            && self
                .cgroups
                .as_ref()
                .is_none_or(|set| socket.cgroup.is_some_and(|id| set.contains(&id)))
            && self.uid.is_none_or(|uid| uid == socket.uid)
    }
}
