//! Keys of the hash maps.

use crate::Address;

/// Source and destination port, in host order.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ports {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
}

/// The plane's numbers for an interface, by direction; 0 is none.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Origins {
    /// For packets that leave by it.
    pub egress: u16,
    /// For packets that arrive at it.
    pub ingress: u16,
}

/// What the fragments of one datagram share (RFC 791, RFC 8200): the key under
/// which the first one's ports are remembered.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FragmentKey {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Identification as it is in the packet, 16 bits of it for IPv4.
    pub id: u32,
    /// The datagram's protocol; for IPv6 the one behind the fragment header.
    pub protocol: u32,
}

/// One direction of a flow that no rule touches. User space enters both.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ExemptKey {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source and destination port.
    pub ports: Ports,
    /// IP protocol number.
    pub protocol: u32,
}

impl ExemptKey {
    /// The same flow in the other direction.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            ports: Ports { source: self.ports.destination, destination: self.ports.source },
            protocol: self.protocol,
        }
    }
}

const _: () = {
    assert!(size_of::<Ports>() == 4);
    assert!(size_of::<Origins>() == 4);
    assert!(size_of::<FragmentKey>() == 40);
    assert!(size_of::<ExemptKey>() == 40);
};
