//! Handles of traffic control: `MAJOR:MINOR`, both 16 bits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A qdisc's, class's or attach point's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub u32);

/// Linux `include/uapi/linux/pkt_sched.h`.
impl Handle {
    /// `TC_H_UNSPEC`.
    pub const NONE: Self = Self(0);
    /// `TC_H_ROOT`: the parent of a root qdisc.
    pub const ROOT: Self = Self(0xffff_ffff);
    /// `TC_H_CLSACT`: the parent of a clsact (or ingress) qdisc.
    pub const CLSACT: Self = Self(0xffff_fff1);
    /// The handle that a clsact (or ingress) qdisc has.
    pub const CLSACT_QDISC: Self = Self(0xffff_0000);
    /// Filters on packets that arrive.
    pub const CLSACT_INGRESS: Self = Self(0xffff_fff2);
    /// Filters on packets that leave.
    pub const CLSACT_EGRESS: Self = Self(0xffff_fff3);

    /// `MAJOR:MINOR`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self((major as u32) << 16 | minor as u32)
    }

    /// What stands before the colon.
    pub const fn major(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// What stands after the colon.
    pub const fn minor(self) -> u16 {
        self.0 as u16
    }
}

/// As tc(8) writes it.
impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ROOT => f.write_str("root"),
            Self(handle) if handle & 0xffff == 0 => write!(f, "{:x}:", self.major()),
            _ => write!(f, "{:x}:{:x}", self.major(), self.minor()),
        }
    }
}
