//! What the plane asks of a delay line, and what it tells it.

use faultd_abi::{MAX_ORIGIN, Origins};

use crate::host::links::{Framing, Link};

/// Why a delay line could not do something.
#[derive(Debug, thiserror::Error)]
#[error("delay line: {0}")]
pub struct LineRefused(pub String);

/// Where held packets come from and go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Loopback: the meta header stands in place of the Ethernet header.
    Loopback,
    /// Leaving by a device with Ethernet headers.
    Ethernet,
    /// Leaving by a device without link-layer headers.
    L3,
    /// Arriving at a device with Ethernet headers.
    Ingress,
}

/// A delay line that packets can be redirected to.
pub trait DelayLine: Send + Sync {
    /// Interface index of its TAP.
    fn tap_ifindex(&self) -> u32;

    /// Makes an origin known before a packet names it. For [`Way::Ingress`]
    /// the answer is the interface index of the TAP that such packets come out
    /// of when they are due. What the origin needs on the host may be taken
    /// back after `expires_boot_ns`, which a later [`DelayLine::open`] moves.
    ///
    /// # Errors
    /// When there is no way back to the device.
    fn add_origin(
        &self,
        origin: u16,
        ifindex: u32,
        way: Way,
        expires_boot_ns: u64,
    ) -> Result<Option<u32>, LineRefused>;

    /// Forgets an origin.
    fn remove_origin(&self, origin: u16);

    /// A rule begins, and ends at `expires_boot_ns` at the latest; called
    /// before its first packet can come.
    ///
    /// # Errors
    /// When the line has stopped.
    fn open(&self, slot: u16, expires_boot_ns: u64) -> Result<(), LineRefused>;

    /// A rule has ended; what is held of it goes on at once.
    fn flush(&self, slot: u16);
}

/// How packets that leave by `link` are handed over; `None` if its framing is
/// one that the line cannot give back.
pub(super) fn leaving(link: &Link) -> Option<Way> {
    match link.framing {
        _ if link.loopback => Some(Way::Loopback),
        Framing::Ethernet => Some(Way::Ethernet),
        Framing::L3 => Some(Way::L3),
        Framing::Other(_) => None,
    }
}

/// Hands out origin numbers.
#[derive(Default)]
pub(super) struct OriginPool {
    last: u16,
}

impl OriginPool {
    /// The next number that `taken` does not have, from 1 on.
    pub(super) fn take(&mut self, taken: impl Fn(u16) -> bool) -> Option<u16> {
        for _ in 0..MAX_ORIGIN {
            self.last = if self.last >= MAX_ORIGIN { 1 } else { self.last + 1 };
            if !taken(self.last) {
                return Some(self.last);
            }
        }
        None
    }
}

/// The origins of one interface.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LinkOrigins {
    /// As the programs know them.
    pub numbers: Origins,
    /// The TAP that packets held on arrival come out of.
    pub tap: Option<u32>,
}
