//! Synchronous netlink: one request, its acknowledgement or its dump.
//!
//! Small on purpose. The messages that faultd sends are few and built by
//! [`Request`]; replies are read as attributes. The kernel's own words for a
//! refusal (the extended acknowledgement) are kept, because "Invalid
//! argument" helps nobody.

mod message;

use std::{fmt, io, os::fd::AsRawFd};

use netlink_sys::{
    Socket as RawSocket, SocketAddr,
    protocols::{NETLINK_ROUTE, NETLINK_SOCK_DIAG},
};
use nix::errno::Errno;

pub(crate) use message::{Attrs, Request, u16_at, u32_at};
use message::{Messages, ext_ack_text};

use super::netns::Netns;

/// Room for one datagram of a dump: the kernel fills at most 32 KiB
/// (`net/netlink/af_netlink.c`, netlink_dump()).
const BUFFER_BYTES: usize = 64 * 1024;

/// A request that the kernel refused, or that could not be sent.
#[derive(Debug)]
pub struct NetlinkError {
    /// The system's answer.
    pub errno: Errno,
    /// The kernel's explanation, where it gave one.
    pub message: Option<String>,
}

impl NetlinkError {
    /// Whether what the request named does not exist (any more).
    pub fn is_absent(&self) -> bool {
        matches!(self.errno, Errno::ENOENT | Errno::ENODEV)
    }
}

impl fmt::Display for NetlinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from(self.errno))?;
        if let Some(message) = &self.message {
            write!(f, " ({})", message.trim_end_matches('.'))?;
        }
        Ok(())
    }
}

impl std::error::Error for NetlinkError {}

impl From<io::Error> for NetlinkError {
    fn from(error: io::Error) -> Self {
        Self { errno: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)), message: None }
    }
}

/// A netlink socket, bound to the network namespace it was opened in.
pub(crate) struct Socket {
    raw: RawSocket,
    seq: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// rtnetlink(7) in a namespace.
    pub(crate) fn route(netns: &Netns) -> Result<Self, NetlinkError> {
        Self::open(netns, NETLINK_ROUTE)
    }

    /// sock_diag(7) in a namespace.
    pub(crate) fn sock_diag(netns: &Netns) -> Result<Self, NetlinkError> {
        Self::open(netns, NETLINK_SOCK_DIAG)
    }

    fn open(netns: &Netns, protocol: isize) -> Result<Self, NetlinkError> {
        let raw = netns.run(|| RawSocket::new(protocol))??;
        let mut socket = Self { raw, seq: 0, buffer: Vec::with_capacity(BUFFER_BYTES) };
        socket.raw.bind_auto()?;
        // Both only better the error messages; neither is there before 4.12.
        let _ = socket.raw.set_ext_ack(true);
        let _ = socket.raw.set_cap_ack(true);
        // Lets the kernel filter dumps by interface; absent before 4.20, and
        // callers filter anyway.
        let _ = socket.raw.set_netlink_get_strict_chk(true);
        Ok(socket)
    }

    /// Also receive what is multicast to these `RTNLGRP_*` groups.
    pub(crate) fn subscribe(&mut self, group: u32) -> Result<(), NetlinkError> {
        Ok(self.raw.add_membership(group)?)
    }

    /// Sends a request and waits for its acknowledgement.
    pub(crate) fn request(&mut self, request: Request) -> Result<(), NetlinkError> {
        self.seq = self.seq.wrapping_add(1);
        self.send(&request.finish(libc::NLM_F_ACK as u16, self.seq))?;
        self.collect(&mut |_, _| {})
    }

    /// Sends a dump request and hands each message to `each`, with its type.
    ///
    /// A dump that the kernel marks as inconsistent is handed on as it is: a
    /// second one might be so again, and every user checks what it acts on.
    pub(crate) fn dump(
        &mut self,
        request: Request,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<(), NetlinkError> {
        self.seq = self.seq.wrapping_add(1);
        self.send(&request.finish(libc::NLM_F_DUMP as u16, self.seq))?;
        self.collect(&mut each)
    }

    fn send(&self, message: &[u8]) -> Result<(), NetlinkError> {
        self.raw.send_to(message, &SocketAddr::new(0, 0), 0)?;
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        self.buffer.clear();
        loop {
            match self.raw.recv(&mut self.buffer, 0) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Reads until the acknowledgement or the end of the dump.
    fn collect(&mut self, each: &mut dyn FnMut(u16, &[u8])) -> Result<(), NetlinkError> {
        loop {
            self.receive()?;
            for message in Messages::new(&self.buffer) {
                // Multicast and late answers to a request that was given up.
                if message.seq != self.seq {
                    continue;
                }
                match i32::from(message.kind) {
                    libc::NLMSG_NOOP => {}
                    libc::NLMSG_DONE => return status(&message),
                    libc::NLMSG_ERROR => return status(&message),
                    _ => each(message.kind, message.payload),
                }
            }
        }
    }

    /// Waits for multicast messages (see [`Self::subscribe`]) for at most
    /// `timeout_ms`; false when none came. ENOBUFS means that some were lost.
    pub(crate) fn wait_multicast(
        &mut self,
        timeout_ms: u16,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<bool, NetlinkError> {
        use nix::poll::{PollFd, PollFlags, poll};
        use std::os::fd::AsFd;
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout_ms) {
            Ok(0) | Err(Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        self.receive()?;
        for message in Messages::new(&self.buffer) {
            each(message.kind, message.payload);
        }
        Ok(true)
    }
}

impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        // SAFETY: the descriptor is open for as long as `self.raw` lives.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(self.raw.as_raw_fd()) }
    }
}

/// The result that an NLMSG_ERROR or NLMSG_DONE carries.
fn status(message: &message::Message<'_>) -> Result<(), NetlinkError> {
    let Some(code) = u32_at(message.payload, 0).map(|code| code as i32) else { return Ok(()) };
    if code >= 0 {
        return Ok(());
    }
    Err(NetlinkError { errno: Errno::from_raw(-code), message: ext_ack_text(message) })
}
