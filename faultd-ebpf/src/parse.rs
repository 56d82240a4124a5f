//! From an skb to a [`Packet`].
//!
//! Bytes are read relative to the network header, so the link layer does not
//! matter: Ethernet, none (tun, WireGuard) or a VLAN tag that the kernel has
//! already moved out of the frame. Tags still in the frame are stepped over.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_hdr_start_off::BPF_HDR_START_NET},
    helpers::bpf_skb_load_bytes_relative,
};
use faultd_abi::{Address, FragmentKey, PROTO_ICMP, PROTO_TCP, PROTO_UDP, Ports};

use crate::{
    maps::FRAGMENTS,
    packet::{HAS_PORTS, PROTECTED, Packet},
};

// include/uapi/linux/if_ether.h
pub const ETH_P_IP: u16 = 0x0800;
pub const ETH_P_IPV6: u16 = 0x86dd;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;

// https://www.iana.org/assignments/protocol-numbers
const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
const DCCP: u8 = 33;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

// IPv6 extension headers (RFC 8200, RFC 4302, RFC 6275).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;

/// Extension headers that are stepped over before a packet counts as one
/// without ports.
const MAX_EXTENSIONS: u32 = 6;

/// VLAN tags in the frame that are stepped over.
const MAX_TAGS: u32 = 2;

/// Router solicitation to redirect (RFC 4861).
const NEIGHBOUR_DISCOVERY: core::ops::RangeInclusive<u8> = 133..=137;

/// Where the transport header is, and what datagram a fragment belongs to.
struct Transport {
    offset: u32,
    protocol: u8,
    fragment: Fragment,
    id: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fragment {
    Whole,
    First,
    Later,
}

/// Fills in `packet`, whose hooks are known. False: not IP, or cut short.
#[inline(always)]
pub fn parse(skb: *mut __sk_buff, packet: &mut Packet) -> bool {
    faultd_parse(skb, packet) != 0
}

/// Fills `packet` in. Returns 0 if it is not IP or cut short.
///
/// A global function (see [`crate::sets`]): what it finds out about a packet on
/// each of its many paths stays here, and its callers see plain numbers.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn faultd_parse(skb: *mut __sk_buff, packet: *mut Packet) -> u32 {
    if packet.is_null() {
        return 0;
    }
    // SAFETY: not null, and the caller's own.
    u32::from(parse_into(skb, unsafe { &mut *packet }).is_some())
}

#[inline(always)]
fn parse_into(skb: *mut __sk_buff, packet: &mut Packet) -> Option<()> {
    // SAFETY: the context of the running program.
    let (protocol, ifindex, len) = unsafe { ((*skb).protocol, (*skb).ifindex, (*skb).len) };
    let mut ethertype = u16::from_be(protocol as u16);
    let mut offset = 0;
    for _ in 0..MAX_TAGS {
        if ethertype != ETH_P_8021Q && ethertype != ETH_P_8021AD {
            break;
        }
        let [_, _, a, b] = load::<4>(skb, offset)?;
        ethertype = u16::from_be_bytes([a, b]);
        offset += 4;
    }
    packet.ifindex = ifindex;
    packet.len = len;
    let transport = match ethertype {
        ETH_P_IP => ipv4(skb, offset, packet)?,
        ETH_P_IPV6 => ipv6(skb, offset, packet)?,
        _ => return None,
    };
    packet.protocol = transport.protocol;
    match transport.protocol {
        TCP => packet.class = PROTO_TCP,
        UDP | UDP_LITE => packet.class = PROTO_UDP,
        DCCP | SCTP => {}
        ICMP | ICMPV6 => {
            packet.class = PROTO_ICMP;
            protect_neighbour_discovery(skb, &transport, packet);
            return Some(());
        }
        _ => return Some(()),
    }
    if transport.fragment == Fragment::Whole {
        if let Some([a, b, c, d]) = load::<4>(skb, transport.offset) {
            packet.ports = Ports {
                source: u16::from_be_bytes([a, b]),
                destination: u16::from_be_bytes([c, d]),
            };
            packet.flags |= HAS_PORTS;
        }
    } else {
        fragment_ports(skb, &transport, packet);
    }
    if transport.protocol == UDP && packet.has_ports() && is_dhcp(packet.ports.destination) {
        packet.flags |= PROTECTED;
    }
    Some(())
}

#[inline(always)]
fn ipv4(skb: *mut __sk_buff, offset: u32, packet: &mut Packet) -> Option<Transport> {
    let b = load::<20>(skb, offset)?;
    packet.source = Address::from_v4([b[12], b[13], b[14], b[15]]);
    packet.destination = Address::from_v4([b[16], b[17], b[18], b[19]]);
    let header = u32::from(b[0] & 0xf) * 4;
    if header < 20 {
        return None;
    }
    // Flags and fragment offset: bit 13 is "more fragments".
    let place = u16::from_be_bytes([b[6], b[7]]);
    let fragment = match (place & 0x1fff, place & 0x2000) {
        (0, 0) => Fragment::Whole,
        (0, _) => Fragment::First,
        _ => Fragment::Later,
    };
    let id = u32::from(u16::from_be_bytes([b[4], b[5]]));
    Some(Transport { offset: offset + header, protocol: b[9], fragment, id })
}

#[inline(always)]
fn ipv6(skb: *mut __sk_buff, offset: u32, packet: &mut Packet) -> Option<Transport> {
    let mut fixed = [0_u64; 5];
    load_into(skb, offset, fixed.as_mut_ptr().cast(), 40)?;
    packet.source = Address { words: [fixed[1], fixed[2]] };
    packet.destination = Address { words: [fixed[3], fixed[4]] };
    let mut transport = Transport {
        offset: offset + 40,
        protocol: fixed[0].to_ne_bytes()[6],
        fragment: Fragment::Whole,
        id: 0,
    };
    for _ in 0..MAX_EXTENSIONS {
        let header = transport.protocol;
        match header {
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | AUTHENTICATION | FRAGMENT => {}
            _ => break,
        }
        // What a fragment other than the first has here is not a header.
        if transport.fragment == Fragment::Later {
            break;
        }
        let b = load::<8>(skb, transport.offset)?;
        transport.protocol = b[0];
        transport.offset += match header {
            FRAGMENT => {
                let place = u16::from_be_bytes([b[2], b[3]]);
                transport.id = u32::from_be_bytes([b[4], b[5], b[6], b[7]]);
                transport.fragment = match (place >> 3, place & 1) {
                    // An atomic fragment (RFC 6946) is a whole datagram.
                    (0, 0) => Fragment::Whole,
                    (0, _) => Fragment::First,
                    _ => Fragment::Later,
                };
                8
            }
            // Counts 4-byte words, less two.
            AUTHENTICATION => (u32::from(b[1]) + 2) * 4,
            // Count 8-byte words, less one.
            _ => (u32::from(b[1]) + 1) * 8,
        };
    }
    Some(transport)
}

#[inline(always)]
fn protect_neighbour_discovery(skb: *mut __sk_buff, transport: &Transport, packet: &mut Packet) {
    // Neighbour discovery is never fragmented (RFC 6980).
    if transport.protocol != ICMPV6 || transport.fragment != Fragment::Whole {
        return;
    }
    if let Some([kind]) = load::<1>(skb, transport.offset) {
        if NEIGHBOUR_DISCOVERY.contains(&kind) {
            packet.flags |= PROTECTED;
        }
    }
}

/// The first fragment carries the ports; the others have them looked up.
#[inline(always)]
fn fragment_ports(skb: *mut __sk_buff, transport: &Transport, packet: &mut Packet) {
    let key = FragmentKey {
        source: packet.source,
        destination: packet.destination,
        id: transport.id,
        protocol: u32::from(transport.protocol),
    };
    if transport.fragment == Fragment::Later {
        // SAFETY: copied at once; an element evicted meanwhile yields the
        // ports of another datagram for one packet at worst.
        if let Some(ports) = unsafe { FRAGMENTS.get(&key) } {
            packet.ports = *ports;
            packet.flags |= HAS_PORTS;
        }
        return;
    }
    let Some([a, b, c, d]) = load::<4>(skb, transport.offset) else { return };
    let ports =
        Ports { source: u16::from_be_bytes([a, b]), destination: u16::from_be_bytes([c, d]) };
    // From the stack: before 6.2 the verifier takes no other memory of the
    // caller's for a map's value (`map_key_value_types`, kernel/bpf/verifier.c).
    // An LRU map always finds room; should it not, the rest of this datagram
    // counts as having no ports.
    let _ = FRAGMENTS.insert(&key, &ports, 0);
    packet.ports = ports;
    packet.flags |= HAS_PORTS;
}

/// Ports of servers, relays and clients (RFC 2131, RFC 8415). The source port
/// of a server is not prescribed, so the destination decides.
#[inline(always)]
pub const fn is_dhcp(destination: u16) -> bool {
    matches!(destination, 67 | 68 | 546 | 547)
}

#[inline(always)]
fn load<const N: usize>(skb: *mut __sk_buff, offset: u32) -> Option<[u8; N]> {
    let mut bytes = [0_u8; N];
    load_into(skb, offset, bytes.as_mut_ptr(), N as u32)?;
    Some(bytes)
}

#[inline(always)]
fn load_into(skb: *mut __sk_buff, offset: u32, to: *mut u8, len: u32) -> Option<()> {
    // SAFETY: `to` is good for `len` bytes, as the verifier checks once more.
    let result = unsafe {
        bpf_skb_load_bytes_relative(skb.cast(), offset, to.cast(), len, BPF_HDR_START_NET)
    };
    (result == 0).then_some(())
}
