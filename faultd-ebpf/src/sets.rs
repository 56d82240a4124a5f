//! Membership in a rule's sets.
//!
//! These are *global* functions in the verifier's sense: it checks each of them
//! once, for any arguments, and not again at every call on every path. So they
//! take plain values and find the rule themselves; inlined, their loops alone
//! made the programs exceed the verifier's limit of a million instructions.
//! (https://docs.kernel.org/bpf/verifier.html, Documentation/bpf/btf.rst.)

use core::arch::asm;

use faultd_abi::{
    Address, PortRange, Ports, Prefix, RULE_INTERFACES, RULE_PORT_RANGES, RULE_PREFIXES, Rule,
};

use crate::maps::RULES;

/// Which of a rule's sets hold which end of a packet.
#[derive(Clone, Copy)]
pub struct Members(u32);

impl Members {
    pub const INTERFACE: u32 = 1 << 0;
    pub const PORTS_SOURCE: u32 = 1 << 1;
    pub const PORTS_DESTINATION: u32 = 1 << 2;
    pub const LOCAL_SOURCE: u32 = 1 << 3;
    pub const LOCAL_DESTINATION: u32 = 1 << 4;
    pub const REMOTE_SOURCE: u32 = 1 << 5;
    pub const REMOTE_DESTINATION: u32 = 1 << 6;
    pub const EXCEPT_PORTS: u32 = 1 << 7;
    pub const FROM_SOURCE: u32 = 1 << 8;
    pub const TO_DESTINATION: u32 = 1 << 9;
    pub const EXCEPT_SOURCE: u32 = 1 << 10;
    pub const EXCEPT_DESTINATION: u32 = 1 << 11;

    /// In no set.
    pub const NONE: Self = Self(0);

    /// Whether all of `bits` are set.
    #[inline(always)]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }

    /// Whether one of `bits` is set.
    #[inline(always)]
    pub const fn has_any(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

/// Looks the packet's interface and ports up in the sets of the rule in `slot`.
#[inline(always)]
pub fn ports_of(slot: u32, ports: Ports, ifindex: u32) -> Members {
    Members(faultd_ports(slot, u32::from(ports.source), u32::from(ports.destination), ifindex))
}

/// Looks the packet's addresses up in the sets of the rule in `slot`.
#[inline(always)]
pub fn addresses_of(slot: u32, source: &Address, destination: &Address) -> Members {
    let ([a, b], [c, d]) = (source.words, destination.words);
    Members(faultd_addresses(slot, a, b, c, d))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn faultd_ports(slot: u32, source: u32, destination: u32, ifindex: u32) -> u32 {
    let Some(rule) = RULES.get(slot) else { return 0 };
    interfaces(rule, ifindex)
        | both(&rule.ports, rule.port_count, source, destination) * Members::PORTS_SOURCE
        | both(&rule.local_ports, rule.local_port_count, source, destination)
            * Members::LOCAL_SOURCE
        | both(&rule.remote_ports, rule.remote_port_count, source, destination)
            * Members::REMOTE_SOURCE
        | u32::from(both(&rule.except_ports, rule.except_port_count, source, destination) != 0)
            * Members::EXCEPT_PORTS
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn faultd_addresses(slot: u32, a: u64, b: u64, c: u64, d: u64) -> u32 {
    let Some(rule) = RULES.get(slot) else { return 0 };
    let (source, destination) = (Address { words: [a, b] }, Address { words: [c, d] });
    inside(&rule.remotes, rule.remote_count, &source, &destination) * Members::FROM_SOURCE
        | inside(&rule.except_remotes, rule.except_remote_count, &source, &destination)
            * Members::EXCEPT_SOURCE
}

// The loops carry a flag instead of leaving early: one path per iteration fewer
// for the verifier to follow. Bit 0: the source is in the set, bit 1: the
// destination is.

#[inline(always)]
fn both(set: &[PortRange; RULE_PORT_RANGES], count: u8, source: u32, destination: u32) -> u32 {
    let mut hit = 0;
    for (i, range) in set.iter().enumerate() {
        if i >= usize::from(count) {
            break;
        }
        hit |= holds(range, source) | holds(range, destination) << 1;
    }
    hit
}

/// 1 if the range holds the port, else 0.
#[inline(always)]
fn holds(range: &PortRange, port: u32) -> u32 {
    let outside = u64::from(port).wrapping_sub(u64::from(range.first))
        | u64::from(range.last).wrapping_sub(u64::from(port));
    // The sign of what must not be negative.
    (opaque(outside) >> 63) as u32 ^ 1
}

/// 1 if the prefix holds the address, else 0.
#[inline(always)]
fn covers(prefix: &Prefix, address: &Address) -> u32 {
    let difference = opaque(prefix.difference(address));
    // The sign of either the number or its negative, unless it is 0.
    ((difference | difference.wrapping_neg()) >> 63) as u32 ^ 1
}

/// Keeps the compiler from turning arithmetic back into a comparison, which is
/// a branch on this machine.
#[inline(always)]
fn opaque(mut value: u64) -> u64 {
    // SAFETY: copies a register onto itself.
    unsafe { asm!("{0} = {0}", inout(reg) value, options(pure, nomem, nostack, preserves_flags)) };
    value
}

#[inline(always)]
fn inside(
    set: &[Prefix; RULE_PREFIXES],
    count: u8,
    source: &Address,
    destination: &Address,
) -> u32 {
    let mut hit = 0;
    for (i, prefix) in set.iter().enumerate() {
        if i >= usize::from(count) {
            break;
        }
        hit |= covers(prefix, source) | covers(prefix, destination) << 1;
    }
    hit
}

#[inline(always)]
fn interfaces(rule: &Rule, ifindex: u32) -> u32 {
    if rule.interface_count == 0 {
        return Members::INTERFACE;
    }
    let mut hit = 0;
    for (i, interface) in rule.interfaces.iter().enumerate() {
        if i >= usize::from(rule.interface_count) {
            break;
        }
        hit |= u32::from(*interface == ifindex);
    }
    const _: () = assert!(RULE_INTERFACES == 8 && Members::INTERFACE == 1);
    hit
}
