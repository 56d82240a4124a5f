//! Word of interfaces that appear, change or go.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use super::{IFINFOMSG_BYTES, Link, parse};
use crate::host::{
    netlink::{NetlinkError, Socket, u32_at},
    netns::Netns,
};

/// Linux `include/uapi/linux/rtnetlink.h`.
const RTNLGRP_LINK: u32 = 1;

/// Something happened to an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// It appeared, or anything about it changed.
    Changed(Link),
    /// It is gone (or moved to another namespace).
    Gone {
        /// The number it had.
        ifindex: u32,
    },
    /// Events were lost; list the interfaces anew.
    Missed,
}

/// Events of the interfaces of one namespace, from its opening on.
///
/// Open it before listing the interfaces, so that none falls in between.
pub struct LinkWatch {
    socket: Socket,
}

impl LinkWatch {
    /// Starts to listen in a namespace.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn open(netns: &Netns) -> Result<Self, NetlinkError> {
        let mut socket = Socket::route(netns)?;
        socket.subscribe(RTNLGRP_LINK)?;
        Ok(Self { socket })
    }

    /// Waits for events for at most `timeout_ms`; none when none came. The
    /// descriptor is readable when there are some, for those who poll.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn wait(&mut self, timeout_ms: u16) -> Result<Vec<LinkEvent>, NetlinkError> {
        let mut events = Vec::new();
        let result = self.socket.wait_multicast(timeout_ms, |kind, payload| {
            events.extend(event(kind, payload));
        });
        match result {
            Err(e) if e.errno == Errno::ENOBUFS => Ok(vec![LinkEvent::Missed]),
            Err(e) => Err(e),
            Ok(_) => Ok(events),
        }
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn event(kind: u16, payload: &[u8]) -> Option<LinkEvent> {
    if payload.len() < IFINFOMSG_BYTES || i32::from(payload[0]) != libc::AF_UNSPEC {
        return None; // a bridge speaks of its ports in messages of its own family
    }
    match kind {
        libc::RTM_NEWLINK => parse(payload).map(LinkEvent::Changed),
        libc::RTM_DELLINK => Some(LinkEvent::Gone { ifindex: u32_at(payload, 4)? }),
        _ => None,
    }
}
