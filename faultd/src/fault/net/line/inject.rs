//! The way back: where a frame goes when it is due.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, setsockopt, socket,
    sockopt::{Mark, SndBufForce},
};

use crate::host::netns::Netns;

use super::{LineError, OriginKind, tap::Tap};

/// What may be on its way out of a device's queue before frames are dropped,
/// as a slow device's own queue would.
const SEND_BUFFER_BYTES: usize = 32 << 20;

/// A way back to one device.
#[derive(Debug)]
pub(super) enum Exit {
    /// Out through the device.
    Packet(PacketSocket),
    /// Into the device: the frame goes in on a TAP, whose classifier passes it
    /// on.
    Tap(Tap),
}

impl Exit {
    /// The TAP's interface index, where this is one.
    pub const fn tap_ifindex(&self) -> Option<u32> {
        match self {
            Self::Packet(_) => None,
            Self::Tap(tap) => Some(tap.ifindex()),
        }
    }

    /// Sends a frame that starts with its virtio-net header. Never blocks.
    pub fn send(&self, frame: &[u8], protocol: u16) -> io::Result<()> {
        match self {
            Self::Packet(socket) => socket.send(frame, protocol),
            Self::Tap(tap) => tap.write(frame),
        }
    }
}

/// A packet socket that sends on one device.
#[derive(Debug)]
pub(super) struct PacketSocket {
    fd: OwnedFd,
    address: libc::sockaddr_ll,
}

impl PacketSocket {
    /// Opens one in the calling thread's network namespace. `mark` goes on
    /// every packet.
    pub fn open(ifindex: u32, mark: u32) -> io::Result<Self> {
        // Protocol 0: it receives nothing.
        let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&fd, Mark, &mark)?;
        setsockopt(&fd, SndBufForce, &SEND_BUFFER_BYTES)?;
        let on: libc::c_int = 1;
        // SAFETY: the option value is a live int and its size is given.
        let rc = unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_VNET_HDR,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        if rc < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: plain data, for which zero is a valid value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::c_ushort;
        address.sll_ifindex = i32::try_from(ifindex).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(Self { fd, address })
    }

    fn send(&self, frame: &[u8], protocol: u16) -> io::Result<()> {
        let mut address = self.address;
        address.sll_protocol = protocol.to_be();
        // SAFETY: the buffer and the address are live and their sizes given.
        let rc = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT,
                (&raw const address).cast(),
                size_of_val(&address) as libc::socklen_t,
            )
        };
        if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Opens the way back to a device.
pub(super) fn open(
    netns: &Netns,
    ifindex: u32,
    kind: OriginKind,
    mark: u32,
) -> Result<Exit, LineError> {
    match kind {
        OriginKind::Loopback | OriginKind::Ethernet | OriginKind::L3 => netns
            .run(|| PacketSocket::open(ifindex, mark))
            .and_then(|opened| opened)
            .map(Exit::Packet)
            .map_err(|source| LineError::Socket { ifindex, source }),
        OriginKind::Ingress => Ok(Exit::Tap(Tap::create(netns)?)),
    }
}
