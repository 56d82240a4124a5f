//! What the programs must know besides the rules.

use crate::{HEADLESS, Head};

/// Some rule is indexed by exact ports.
pub const DIM_PORT: u32 = 1 << 0;
/// Some rule is indexed by remote prefixes.
pub const DIM_REMOTE: u32 = 1 << 1;
/// Some rule is indexed by nothing and is tried on every packet.
pub const DIM_WILD: u32 = 1 << 2;
/// Some rule is indexed by cgroup.
pub const DIM_CGROUP: u32 = 1 << 3;
/// Some rule is indexed by the socket's user.
pub const DIM_UID: u32 = 1 << 4;
/// Some rule is indexed by the process that made the socket.
pub const DIM_PIDS: u32 = 1 << 5;

/// Some rule is indexed by interfaces.
pub const DIM_INTERFACE: u32 = 1 << 6;

/// Some rule indexed by remote prefixes looks at arriving packets, whose
/// remote end is the source: on loopback both ends must be looked up.
pub const REMOTE_INGRESS_VIEW: u32 = 1 << 0;

/// The one element of the map `CONFIG`. Dimensions that no rule uses cost a
/// packet nothing.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Config {
    /// `DIM_*` bits of the dimensions in use.
    pub dimensions: u32,
    /// `REMOTE_INGRESS_VIEW`.
    pub flags: u32,
    /// Bit n: some rule names a cgroup that is n levels below the root.
    pub cgroup_levels: u32,
    /// Interface index of the delay line's TAP; 0 while there is none.
    pub line_ifindex: u32,
    /// Rules that are tried on every packet.
    pub wild: Head,
    /// Offset of `pid` in the kernel's `struct task_struct`, from BTF.
    pub task_pid_offset: u32,
    /// Offset of `tgid` there.
    pub task_tgid_offset: u32,
    /// Which of [`crate::FILTER_LENGTHS`] are in use, by bit, and
    /// [`crate::FILTER_ALL`].
    pub filter_lengths: u32,
    /// How many interfaces with rules have other headers than Ethernet's; may
    /// be more than fit into `headless`.
    pub headless_count: u32,
    /// Their interface indexes.
    pub headless: [u32; HEADLESS],
}

const _: () = assert!(size_of::<Config>() == 64);
