//! A rule: what it matches and what it does.

use crate::{Address, Delay, Loss, Prefix, RULE_INTERFACES, RULE_PORT_RANGES, RULE_PREFIXES};

/// Evaluated where packets leave an interface.
pub const HOOK_TC_EGRESS: u8 = 1 << 0;
/// Evaluated where packets arrive at an interface.
pub const HOOK_TC_INGRESS: u8 = 1 << 1;
/// Evaluated where packets arrive at a socket.
pub const HOOK_CG_INGRESS: u8 = 1 << 2;

/// TCP.
pub const PROTO_TCP: u8 = 1 << 0;
/// UDP and UDP-Lite.
pub const PROTO_UDP: u8 = 1 << 1;
/// ICMP and ICMPv6.
pub const PROTO_ICMP: u8 = 1 << 2;
/// Every other IP protocol.
pub const PROTO_OTHER: u8 = 1 << 3;

/// Whatever process a packet belongs to.
pub const SCOPE_ANY: u8 = 0;
/// Sockets of a cgroup v2 and below.
pub const SCOPE_CGROUP: u8 = 1;
/// Sockets of a user.
pub const SCOPE_UID: u8 = 2;
/// Sockets that certain processes made.
pub const SCOPE_PIDS: u8 = 3;

/// Drop the packet.
pub const ACTION_DROP: u8 = 1;
/// Drop at random.
pub const ACTION_LOSS_RANDOM: u8 = 2;
/// Drop in bursts.
pub const ACTION_LOSS_GEMODEL: u8 = 3;
/// Drop every n-th.
pub const ACTION_LOSS_EVERY: u8 = 4;
/// Hold the packet for a while.
pub const ACTION_DELAY: u8 = 5;

/// Held by the delay line.
pub const VIA_LINE: u8 = 1;
/// Held by the `fq` qdisc: the packet gets a later departure time.
pub const VIA_EDT: u8 = 2;
/// Held by a netem qdisc: the packet gets its class.
pub const VIA_NETEM: u8 = 3;

/// Uniform in mean ± jitter.
pub const DISTRIBUTION_UNIFORM: u32 = 0;
/// Normal, jitter is the standard deviation.
pub const DISTRIBUTION_NORMAL: u32 = 1;
/// Pareto as netem's table has it.
pub const DISTRIBUTION_PARETO: u32 = 2;
/// A quarter normal, three quarters Pareto, as netem's table has it.
pub const DISTRIBUTION_PARETONORMAL: u32 = 3;

/// Match neighbour discovery, DHCP and exempt flows too.
pub const FLAG_FORCE: u32 = 1 << 0;
/// On loopback, a leaving packet matches `ports` by its source port only, so
/// that a round trip is delayed once; an arriving one by its destination.
pub const FLAG_LO_FROM_PORT: u32 = 1 << 1;
/// `uid` must own the socket, whatever the scope.
pub const FLAG_CHECK_UID: u32 = 1 << 2;
/// The rule is indexed by `ports`.
pub const FLAG_INDEX_PORT: u32 = 1 << 8;
/// The rule is indexed by `local_ports`.
pub const FLAG_INDEX_LOCAL: u32 = 1 << 9;
/// The rule is indexed by `remote_ports`.
pub const FLAG_INDEX_REMOTE_PORT: u32 = 1 << 10;
/// The rule is indexed by `remotes`.
pub const FLAG_INDEX_REMOTE_PREFIX: u32 = 1 << 11;

/// An inclusive range of ports in host order.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

/// One rule (map `RULES`, by slot). An empty set matches everything.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Boot-time nanosecond from which the rule does nothing any more.
    pub expires_boot_ns: u64,
    /// Seed of its random decisions.
    pub seed: u64,
    /// Which use of the slot this is; a [`crate::Node`] must agree. 0: free.
    pub generation: u32,
    /// `FLAG_*` bits.
    pub flags: u32,
    /// `HOOK_*` bits: where it is evaluated, and so which directions it has.
    pub hooks: u8,
    /// `PROTO_*` bits.
    pub protocols: u8,
    /// A `SCOPE_*` value.
    pub scope: u8,
    /// An `ACTION_*` value.
    pub action: u8,
    /// A `VIA_*` value, for delays.
    pub via: u8,
    /// Entries of `interfaces` in use.
    pub interface_count: u8,
    /// Entries of `ports` in use.
    pub port_count: u8,
    /// Entries of `local_ports` in use.
    pub local_port_count: u8,
    /// Entries of `remote_ports` in use.
    pub remote_port_count: u8,
    /// Entries of `except_ports` in use.
    pub except_port_count: u8,
    /// Entries of `remotes` in use.
    pub remote_count: u8,
    /// Entries of `except_remotes` in use.
    pub except_remote_count: u8,
    /// The user, with [`FLAG_CHECK_UID`] or [`SCOPE_UID`].
    pub uid: u32,
    /// The cgroup v2 id, with [`SCOPE_CGROUP`].
    pub cgroup: u64,
    /// For the loss actions.
    pub loss: Loss,
    /// For [`ACTION_DELAY`].
    pub delay: Delay,
    /// Interface indexes.
    pub interfaces: [u32; RULE_INTERFACES],
    /// Ports at either end.
    pub ports: [PortRange; RULE_PORT_RANGES],
    /// Ports at this host's end.
    pub local_ports: [PortRange; RULE_PORT_RANGES],
    /// Ports at the other end.
    pub remote_ports: [PortRange; RULE_PORT_RANGES],
    /// Ports at either end that are not touched.
    pub except_ports: [PortRange; RULE_PORT_RANGES],
    /// Addresses of the other end.
    pub remotes: [Prefix; RULE_PREFIXES],
    /// Addresses of the other end that are not touched.
    pub except_remotes: [Prefix; RULE_PREFIXES],
}

impl Rule {
    /// An unused slot.
    pub const FREE: Self = {
        let port = PortRange { first: 0, last: 0 };
        let none = Address { words: [0; 2] };
        let prefix = Prefix { address: none, mask: none };
        Self {
            expires_boot_ns: 0,
            seed: 0,
            generation: 0,
            flags: 0,
            hooks: 0,
            protocols: 0,
            scope: SCOPE_ANY,
            action: 0,
            via: 0,
            interface_count: 0,
            port_count: 0,
            local_port_count: 0,
            remote_port_count: 0,
            except_port_count: 0,
            remote_count: 0,
            except_remote_count: 0,
            uid: 0,
            cgroup: 0,
            loss: Loss {
                probability: 0,
                correlation: 0,
                good_to_bad: 0,
                bad_to_good: 0,
                loss_good: 0,
                loss_bad: 0,
                every: 0,
            },
            delay: Delay { ns: 0, jitter_ns: 0, correlation: 0, distribution: 0, class: 0 },
            interfaces: [0; RULE_INTERFACES],
            ports: [port; RULE_PORT_RANGES],
            local_ports: [port; RULE_PORT_RANGES],
            remote_ports: [port; RULE_PORT_RANGES],
            except_ports: [port; RULE_PORT_RANGES],
            remotes: [prefix; RULE_PREFIXES],
            except_remotes: [prefix; RULE_PREFIXES],
        }
    };
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Rule, hooks) == 24);
    assert!(offset_of!(Rule, uid) == 36);
    assert!(offset_of!(Rule, cgroup) == 40);
    assert!(offset_of!(Rule, loss) == 48);
    assert!(offset_of!(Rule, delay) == 104);
    assert!(offset_of!(Rule, interfaces) == 136);
    assert!(offset_of!(Rule, ports) == 168);
    assert!(offset_of!(Rule, remotes) == 424);
    assert!(size_of::<Rule>() == 936);
};
