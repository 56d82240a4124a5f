//! The SSH session that a command came through, so that a fault does not cut
//! off the person who injected it.
//!
//! Three sources, all used, as each is missing somewhere: what the client
//! repeats of its environment (`sudo` drops the variable), the environments of
//! its ancestors (a container's are out of sight), and the connections of the
//! SSH server among its ancestors (`tmux` outlives its own).

mod connection;
mod sockets;

use std::{collections::BTreeSet, fs, net::SocketAddr};

use super::process::stat::lineage;

/// Command names of servers that hold a session's connection. OpenSSH 9.8
/// split `sshd-session` off.
const SERVERS: [&str; 3] = ["sshd", "sshd-session", "dropbear"];

/// A TCP connection of an SSH session, IPv4-mapped addresses as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SshFlow {
    /// This host's end: the SSH server's.
    pub local: SocketAddr,
    /// The other end: the SSH client's.
    pub remote: SocketAddr,
}

/// Whether a command name is that of an SSH server.
pub fn is_server(comm: &str) -> bool {
    SERVERS.contains(&comm)
}

/// The connections of the session in which `caller_pid` runs. `header` is what
/// the client says about itself, in the form of `SSH_CONNECTION`; a malformed
/// one counts as none.
///
/// Costs a few file reads for each ancestor, whatever the host's size.
pub fn sessions(caller_pid: Option<u32>, header: Option<&str>) -> Vec<SshFlow> {
    let mut flows: BTreeSet<SshFlow> = header.and_then(connection::parse).into_iter().collect();
    for process in caller_pid.map(lineage).unwrap_or_default() {
        if let Ok(environ) = fs::read(format!("/proc/{}/environ", process.pid)) {
            flows.extend(connection::from_environ(&environ));
        }
        if is_server(&process.comm) {
            flows.extend(sockets::established(process.pid));
        }
    }
    flows.into_iter().collect()
}

#[cfg(test)]
mod tests;
