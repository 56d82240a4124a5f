//! What the rules look at.

use faultd_abi::{Address, PROTO_OTHER, Ports};

/// `ports` holds ports.
pub const HAS_PORTS: u8 = 1 << 0;
/// Neighbour discovery or DHCP.
pub const PROTECTED: u8 = 1 << 1;

/// A parsed packet. Small enough for the stack: a per-CPU scratch area would
/// be shared with a program that interrupts this one.
#[repr(C)]
pub struct Packet {
    pub source: Address,
    pub destination: Address,
    pub ports: Ports,
    pub ifindex: u32,
    /// Bytes, as the hook sees it.
    pub len: u32,
    /// `HOOK_*` bits of the places that it is at: both directions on loopback.
    pub hooks: u8,
    /// A `PROTO_*` bit.
    pub class: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// `HAS_PORTS`, `PROTECTED`.
    pub flags: u8,
}

impl Packet {
    /// One of which nothing is known yet.
    #[inline(always)]
    pub const fn new(hooks: u8) -> Self {
        let nowhere = Address { words: [0; 2] };
        Self {
            source: nowhere,
            destination: nowhere,
            ports: Ports { source: 0, destination: 0 },
            ifindex: 0,
            len: 0,
            hooks,
            class: PROTO_OTHER,
            protocol: 0,
            flags: 0,
        }
    }

    #[inline(always)]
    pub const fn has_ports(&self) -> bool {
        self.flags & HAS_PORTS != 0
    }
}
