//! Live TCP and UDP sockets of a namespace, as sock_diag(7) lists them.

mod owner;
mod query;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use faultd_api::Proto;
use nix::errno::Errno;

use crate::host::{
    netlink::{Attrs, NetlinkError, Request, Socket, u32_at},
    netns::Netns,
};

pub use owner::{descriptors_of, holders, inodes_of, likely_first};
pub use query::Query;

/// Linux `include/uapi/linux/sock_diag.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `struct inet_diag_req_v2`, Linux `include/uapi/linux/inet_diag.h`.
const REQUEST_BYTES: usize = 56;
/// `struct inet_diag_msg`.
const ANSWER_BYTES: usize = 72;
const INET_DIAG_CGROUP_ID: u16 = 21;

/// The kernel refused to list its sockets.
#[derive(Debug, thiserror::Error)]
#[error("cannot list the {proto} sockets of {netns}: {source}")]
pub struct SocketsError {
    /// Which.
    pub proto: Proto,
    /// Where.
    pub netns: String,
    /// The kernel's answer.
    #[source]
    pub source: NetlinkError,
}

/// State of a socket, named as in ss(8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// `ESTAB`
    Established,
    /// `SYN-SENT`
    SynSent,
    /// `SYN-RECV`
    SynRecv,
    /// `FIN-WAIT-1`
    FinWait1,
    /// `FIN-WAIT-2`
    FinWait2,
    /// `TIME-WAIT`
    TimeWait,
    /// `UNCONN`: closed (TCP), or without a peer (UDP).
    Unconnected,
    /// `CLOSE-WAIT`
    CloseWait,
    /// `LAST-ACK`
    LastAck,
    /// `LISTEN`
    Listen,
    /// `CLOSING`
    Closing,
}

impl State {
    /// Linux `include/net/tcp_states.h`.
    fn from_kernel(state: u8) -> Self {
        match state {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynRecv, // TCP_NEW_SYN_RECV too
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => Self::Unconnected,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Established => "ESTAB",
            Self::SynSent => "SYN-SENT",
            Self::SynRecv => "SYN-RECV",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::TimeWait => "TIME-WAIT",
            Self::Unconnected => "UNCONN",
            Self::CloseWait => "CLOSE-WAIT",
            Self::LastAck => "LAST-ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
        })
    }
}

/// A live socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSocket {
    /// TCP or UDP.
    pub proto: Proto,
    /// Its state.
    pub state: State,
    /// This end; IPv4-mapped addresses are shown as IPv4.
    pub local: SocketAddr,
    /// The other end; port 0 where there is none.
    pub remote: SocketAddr,
    /// The interface it is bound to; 0 for none.
    pub ifindex: u32,
    /// Its owner's user id.
    pub uid: u32,
    /// Its inode on sockfs; 0 for those that no process holds (TIME-WAIT).
    pub inode: u64,
    /// Id of the cgroup-v2 it was made in; absent before Linux 5.9 and for
    /// those that no process holds.
    pub cgroup: Option<u64>,
}

/// The sockets that match a query, in the kernel's order.
///
/// # Errors
/// The kernel's answer, with what was listed.
pub fn list(netns: &Netns, query: &Query) -> Result<Vec<LiveSocket>, SocketsError> {
    let mut found = Vec::new();
    let protos = [(Proto::Tcp, libc::IPPROTO_TCP), (Proto::Udp, libc::IPPROTO_UDP)];
    let wanted = protos.into_iter().filter(|(p, _)| query.proto.is_none_or(|q| q == *p));
    let mut socket = None;
    for (proto, number) in wanted {
        let wrap = |source| SocketsError { proto, netns: netns.to_string(), source };
        let socket = match &mut socket {
            Some(open) => open,
            none => none.insert(Socket::sock_diag(netns).map_err(wrap)?),
        };
        for family in [libc::AF_INET, libc::AF_INET6] {
            let request = Request::new(SOCK_DIAG_BY_FAMILY, 0, &request(family, number));
            let result = socket.dump(request, |kind, payload| {
                if kind == SOCK_DIAG_BY_FAMILY
                    && let Some(socket) = parse(proto, payload)
                    && query.matches(&socket)
                {
                    found.push(socket);
                }
            });
            match result {
                // A host may have no IPv6 at all (`ipv6.disable=1`).
                Err(e) if family == libc::AF_INET6 && e.errno == Errno::EAFNOSUPPORT => {}
                other => other.map_err(wrap)?,
            }
        }
    }
    Ok(found)
}

/// `struct inet_diag_req_v2` for every state.
fn request(family: i32, protocol: i32) -> [u8; REQUEST_BYTES] {
    let mut out = [0; REQUEST_BYTES];
    out[0] = family as u8;
    out[1] = protocol as u8;
    out[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    out
}

fn parse(proto: Proto, payload: &[u8]) -> Option<LiveSocket> {
    let payload = if payload.len() < ANSWER_BYTES { return None } else { payload };
    let family = i32::from(payload[0]);
    let port = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
    let address = |at: usize| -> Option<IpAddr> {
        let bytes = payload.get(at..at + 16)?;
        if family == libc::AF_INET {
            let four: [u8; 4] = bytes[..4].try_into().ok()?;
            return Some(Ipv4Addr::from(four).into());
        }
        let sixteen: [u8; 16] = bytes.try_into().ok()?;
        Some(Ipv6Addr::from(sixteen).to_canonical())
    };
    let attrs = Attrs::after(payload, ANSWER_BYTES);
    let cgroup = attrs.find(INET_DIAG_CGROUP_ID).and_then(|id| id.try_into().ok());
    Some(LiveSocket {
        proto,
        state: State::from_kernel(payload[1]),
        local: SocketAddr::new(address(8)?, port(4)),
        remote: SocketAddr::new(address(24)?, port(6)),
        ifindex: u32_at(payload, 40)?,
        uid: u32_at(payload, 64)?,
        inode: u32_at(payload, 68)?.into(),
        cgroup: cgroup.map(u64::from_ne_bytes).filter(|id| *id != 0),
    })
}

#[cfg(test)]
mod tests;
