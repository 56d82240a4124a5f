//! The queue of a listener on this host: connections that nobody has accepted yet wait in it, and
//! beyond its length the kernel drops their first packet, which is sent again a second later.

use std::{
    fs, io,
    net::{SocketAddr, UdpSocket},
};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
};
use netlink_sys::{Socket, SocketAddr as NetlinkAddr, protocols::NETLINK_SOCK_DIAG};

use super::limits::Limit;
use crate::{
    plan::{Arrival, Plan, Stage},
    protocol::net::Endpoint,
};

/// What is short for the users of `plan` who come at once, of listeners on this host.
pub(super) fn short(plan: &Plan, endpoints: &[Endpoint]) -> Vec<Limit> {
    let at_once = at_once(&plan.stages);
    if at_once == 0 {
        return Vec::new();
    }
    let queue = |&address: &SocketAddr| Some((address, length(address).ok().flatten()?));
    let queues = endpoints.iter().flat_map(Endpoint::addresses).filter_map(queue);
    let limits = queues.filter(|(_, length)| u64::from(*length) < at_once);
    limits.map(|(address, length)| limit(address, length, at_once)).collect()
}

fn limit(address: SocketAddr, length: u32, at_once: u64) -> Limit {
    let most = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    let text = format!(
        "{at_once} users may come within a second, and the listener at {address} lets {length} \
         connections wait (its backlog; net.core.somaxconn is {}): beyond that they are a second \
         late, or more",
        most.trim()
    );
    Limit { text, fatal: false }
}

/// Users who come within a second at most.
fn at_once(stages: &[Stage]) -> u64 {
    let (mut most, mut there) = (0, 0_u32);
    for stage in stages {
        let Arrival::Users { from, to } = stage.arrival else { continue };
        let seconds = stage.duration.as_secs_f64().max(1.0);
        let climb = (f64::from(to.saturating_sub(from)) / seconds).ceil() as u64;
        most = most.max(u64::from(from.saturating_sub(there))).max(climb);
        there = to;
    }
    most
}

/// Of the listeners here that `address` reaches, the shortest queue; `None`: there is none here.
fn length(address: SocketAddr) -> io::Result<Option<u32>> {
    // Only this host's own addresses can be bound to.
    if UdpSocket::bind((address.ip(), 0)).is_err() {
        return Ok(None);
    }
    let mut found: Option<u32> = None;
    for family in [AF_INET, AF_INET6] {
        listeners(family, |id, backlog| {
            let here = id.source_address.is_unspecified() || id.source_address == address.ip();
            if here && id.source_port == address.port() {
                found = Some(found.map_or(backlog, |other| other.min(backlog)));
            }
        })?;
    }
    Ok(found)
}

/// Tells `each` of all TCP sockets that listen, and the length of their queue: sock_diag(7).
fn listeners(family: u8, mut each: impl FnMut(&SocketId, u32)) -> io::Result<()> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.connect(&NetlinkAddr::new(0, 0))?;
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::LISTEN,
        socket_id: if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() },
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => {
                    each(&found.header.socket_id, found.header.send_queue);
                }
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::Done(_) => return Ok(()),
                _ => {}
            }
            // Messages are padded to four bytes.
            let length = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(length..).filter(|_| length > 0).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsRawFd, time::Duration};

    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
    };

    use super::*;

    #[test]
    fn users_come_at_once_where_a_stage_begins_with_more_of_them() {
        let stage = |seconds, from, to| Stage {
            name: "x".into(),
            duration: Duration::from_secs(seconds),
            arrival: Arrival::Users { from, to },
            mix: vec![(0, 1.0)],
        };
        assert_eq!(at_once(&[stage(10, 300, 300)]), 300);
        assert_eq!(at_once(&[stage(10, 0, 300), stage(9, 300, 300)]), 30);
        assert_eq!(at_once(&[stage(10, 100, 0), stage(5, 50, 50)]), 100);
        let arrival = Arrival::rate(9000.0);
        assert_eq!(at_once(&[Stage { arrival, ..stage(10, 0, 0) }]), 0);
    }

    #[test]
    fn the_queue_of_a_listener_here_is_known() {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
        bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        listen(&fd, Backlog::new(7).unwrap()).unwrap();
        let port = getsockname::<SockaddrIn>(fd.as_raw_fd()).unwrap().port();
        let at = |address: &str| length(format!("{address}:{port}").parse().unwrap()).unwrap();
        assert_eq!(at("127.0.0.1"), Some(7));
        assert_eq!(at("127.0.0.2"), None, "nobody listens there");
        assert_eq!(at("192.0.2.1"), None, "it is not here");
        let text = limit(format!("127.0.0.1:{port}").parse().unwrap(), 7, 5000).text;
        assert!(text.contains("5000 users") && text.contains("lets 7 connections wait"), "{text}");
    }
}
