//! Whether a rule describes a packet.

use faultd_abi::{
    FLAG_CHECK_UID, FLAG_INDEX_LOCAL, FLAG_INDEX_PORT, FLAG_INDEX_REMOTE_PORT,
    FLAG_INDEX_REMOTE_PREFIX, FLAG_LO_FROM_PORT, HOOK_CG_INGRESS, HOOK_TC_EGRESS, HOOK_TC_INGRESS,
    LOOPBACK_IFINDEX, Rule,
};

use crate::{
    packet::Packet,
    sets::{Members, addresses_of, ports_of},
    walk::Walk,
};

/// The hook that sees a packet leave.
const LEAVING: u8 = HOOK_TC_EGRESS;
/// Hooks that see a packet arrive.
const ARRIVING: u8 = HOOK_TC_INGRESS | HOOK_CG_INGRESS;

/// Whether `rule` describes the packet, and was not met already.
///
/// A packet on loopback leaves and arrives at once. A rule for one direction
/// sees it that way; a rule for both matches if either view does.
#[inline(always)]
pub fn matches(rule: &Rule, slot: u32, walk: &Walk) -> bool {
    let packet = &walk.packet;
    let views = rule.hooks & packet.hooks;
    if views == 0 || rule.protocols & packet.class == 0 {
        return false;
    }
    let names_ports = rule.port_count | rule.local_port_count | rule.remote_port_count != 0;
    if names_ports && !packet.has_ports() {
        return false;
    }
    if rule.flags & FLAG_CHECK_UID != 0 && rule.uid != walk.uid {
        return false;
    }
    let ports = ports_of(slot, packet.ports, packet.ifindex);
    if !ports.has(Members::INTERFACE) || !either_port(rule, packet, views, ports) {
        return false;
    }
    if packet.has_ports() && ports.has(Members::EXCEPT_PORTS) {
        return false;
    }
    let names_addresses = rule.remote_count | rule.except_remote_count != 0;
    let addresses = if names_addresses {
        addresses_of(slot, &packet.source, &packet.destination)
    } else {
        Members::NONE
    };
    if walk.second != 0 && met_before(rule, ports, addresses) {
        return false;
    }
    (views & LEAVING != 0 && leaves(rule, ports, addresses)
        || views & ARRIVING != 0 && arrives(rule, ports, addresses))
        && !excepted(views, addresses)
}

/// The index led to the rule by the packet's destination port (or source
/// address, on loopback); whether its source port (destination address) did so
/// before.
#[inline(always)]
fn met_before(rule: &Rule, ports: Members, addresses: Members) -> bool {
    let flags = rule.flags;
    flags & FLAG_INDEX_PORT != 0 && ports.has(Members::PORTS_SOURCE)
        || flags & FLAG_INDEX_LOCAL != 0 && ports.has(Members::LOCAL_SOURCE)
        || flags & FLAG_INDEX_REMOTE_PORT != 0 && ports.has(Members::REMOTE_SOURCE)
        || flags & FLAG_INDEX_REMOTE_PREFIX != 0 && addresses.has(Members::TO_DESTINATION)
}

/// The set `ports`: either end, but see [`FLAG_LO_FROM_PORT`].
#[inline(always)]
fn either_port(rule: &Rule, packet: &Packet, views: u8, ports: Members) -> bool {
    if rule.port_count == 0 {
        return true;
    }
    let one_way = rule.flags & FLAG_LO_FROM_PORT != 0 && packet.ifindex == LOOPBACK_IFINDEX;
    if !one_way || views == HOOK_TC_EGRESS | HOOK_TC_INGRESS {
        return ports.has_any(Members::PORTS_SOURCE | Members::PORTS_DESTINATION);
    }
    if ports.has(Members::PORTS_SOURCE | Members::PORTS_DESTINATION) {
        // Both ends are in the set: one way of the two must still go free.
        return is_forward(packet) == (views == HOOK_TC_EGRESS);
    }
    ports.has(if views == HOOK_TC_EGRESS {
        Members::PORTS_SOURCE
    } else {
        Members::PORTS_DESTINATION
    })
}

/// Tells the two directions of a flow apart, the same way for both.
#[inline(always)]
fn is_forward(packet: &Packet) -> bool {
    let (a, b) = (packet.ports.source, packet.ports.destination);
    if a != b {
        return a < b;
    }
    let (a, b) = (&packet.source.words, &packet.destination.words);
    if a[0] != b[0] { a[0] < b[0] } else { a[1] <= b[1] }
}

/// The sets that tell this end from the other one, for a packet that leaves.
#[inline(always)]
fn leaves(rule: &Rule, ports: Members, addresses: Members) -> bool {
    (rule.local_port_count == 0 || ports.has(Members::LOCAL_SOURCE))
        && (rule.remote_port_count == 0 || ports.has(Members::REMOTE_DESTINATION))
        && (rule.remote_count == 0 || addresses.has(Members::TO_DESTINATION))
}

/// The same for a packet that arrives.
#[inline(always)]
fn arrives(rule: &Rule, ports: Members, addresses: Members) -> bool {
    (rule.local_port_count == 0 || ports.has(Members::LOCAL_DESTINATION))
        && (rule.remote_port_count == 0 || ports.has(Members::REMOTE_SOURCE))
        && (rule.remote_count == 0 || addresses.has(Members::FROM_SOURCE))
}

/// Whether the rule leaves the other end out, in any of its views.
#[inline(always)]
fn excepted(views: u8, addresses: Members) -> bool {
    views & LEAVING != 0 && addresses.has(Members::EXCEPT_DESTINATION)
        || views & ARRIVING != 0 && addresses.has(Members::EXCEPT_SOURCE)
}
