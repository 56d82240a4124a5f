//! The short way from an skb to a [`Packet`]: a TCP or UDP packet that is no
//! fragment, without IP options or extension headers, read where it lies.
//! Whatever else there is takes [`crate::parse`]'s long way, whose three calls
//! of the kernel cost as much as all of the rest for a packet that no rule
//! matches.

use core::arch::asm;

use aya_ebpf::bindings::__sk_buff;
use faultd_abi::{Address, PROTO_TCP, PROTO_UDP, Ports};

use crate::{
    packet::{HAS_PORTS, PROTECTED, Packet},
    parse::{ETH_P_IP, ETH_P_IPV6, TCP, UDP, is_dhcp},
};

/// Bytes before the network header.
pub const ETHERNET: usize = 14;
/// At hooks of sockets there are none.
pub const BARE: usize = 0;

/// An IPv4 header without options, and ports.
const V4_LEN: usize = 20 + 4;
/// An IPv6 header, and ports.
const V6_LEN: usize = 40 + 4;

/// Version and header length of an IPv4 header without options.
const V4_PLAIN: u32 = 0x45;

/// "More fragments" and the fragment offset, as they lie in the header.
const V4_FRAGMENT: u32 = 0x3fff_u16.to_be() as u32;

/// The last 4 of the first 12 bytes of an IPv4-mapped address; the address
/// follows.
const V4_MAPPED: u64 = 0xffff_0000;

/// Fills in `packet`, if it is of the simple kind. `LINK` says how long the
/// link-layer header is, if the packet is what the header before it says.
#[inline(always)]
pub fn parse<const LINK: usize>(skb: *mut __sk_buff, packet: &mut Packet) -> bool {
    // SAFETY: the context of the running program.
    let (protocol, ifindex, len) = unsafe { ((*skb).protocol, (*skb).ifindex, (*skb).len) };
    // SAFETY: as above; the verifier knows these two as pointers.
    let (data, end) = unsafe { ((*skb).data as usize, (*skb).data_end as usize) };
    packet.ifindex = ifindex;
    packet.len = len;
    match u16::from_be(protocol as u16) {
        ETH_P_IP => {
            if data + LINK + V4_LEN > end || !is_framed::<LINK>(data, protocol) {
                return false;
            }
            ipv4(data + LINK, packet)
        }
        ETH_P_IPV6 => {
            if data + LINK + V6_LEN > end || !is_framed::<LINK>(data, protocol) {
                return false;
            }
            ipv6(data + LINK, packet)
        }
        _ => false,
    }
}

/// Whether the Ethernet header is followed by what the kernel says the packet
/// is: between the two there may be a switch's tag.
#[inline(always)]
fn is_framed<const LINK: usize>(data: usize, protocol: u32) -> bool {
    LINK == BARE || load16::<12>(data) == protocol
}

#[inline(always)]
fn ipv4(at: usize, packet: &mut Packet) -> bool {
    if load8::<0>(at) != V4_PLAIN || load16::<6>(at) & V4_FRAGMENT != 0 {
        return false;
    }
    if !transport(load8::<9>(at), load32::<20>(at), packet) {
        return false;
    }
    let mapped = |v4: u32| Address { words: [0, (u64::from(v4) << 32) | V4_MAPPED] };
    packet.source = mapped(load32::<12>(at));
    packet.destination = mapped(load32::<16>(at));
    true
}

#[inline(always)]
fn ipv6(at: usize, packet: &mut Packet) -> bool {
    if load8::<0>(at) >> 4 != 6 || !transport(load8::<6>(at), load32::<40>(at), packet) {
        return false;
    }
    packet.source = Address { words: [load64::<8>(at), load64::<16>(at)] };
    packet.destination = Address { words: [load64::<24>(at), load64::<32>(at)] };
    true
}

/// TCP's and UDP's first four bytes.
#[inline(always)]
fn transport(protocol: u32, ports: u32, packet: &mut Packet) -> bool {
    const TCP_: u32 = TCP as u32;
    const UDP_: u32 = UDP as u32;
    packet.class = match protocol {
        TCP_ => PROTO_TCP,
        UDP_ => PROTO_UDP,
        _ => return false,
    };
    packet.protocol = protocol as u8;
    let source = u16::from_be(ports as u16);
    let destination = u16::from_be((ports >> 16) as u16);
    packet.ports = Ports { source, destination };
    let dhcp = protocol == UDP_ && is_dhcp(destination);
    packet.flags = if dhcp { HAS_PORTS | PROTECTED } else { HAS_PORTS };
    true
}

// Loads of the processor's own, which are fine at any address on all machines
// that faultd runs on. Rust has no such thing for an address that may not be a
// multiple of the size but loads of single bytes. Pure: the same address yields
// the same value.

macro_rules! load {
    ($name:ident, $type:ty, $class:ident, $size:literal) => {
        #[inline(always)]
        fn $name<const AT: usize>(address: usize) -> $type {
            let value;
            // SAFETY: the verifier takes it only if the address was compared
            // with the packet's end before.
            unsafe {
                asm!(
                    concat!("{value} = *(", $size, " *)({address} + {at})"),
                    value = lateout($class) value,
                    address = in(reg) address,
                    at = const AT,
                    options(pure, readonly, nostack, preserves_flags),
                );
            }
            value
        }
    };
}

load!(load8, u32, wreg, "u8");
load!(load16, u32, wreg, "u16");
load!(load32, u32, wreg, "u32");
load!(load64, u64, reg, "u64");
