//! Addresses in the form of the rule table: IPv4 mapped into IPv6.

use std::net::{IpAddr, SocketAddr};

use faultd_abi::{Address, ExemptKey, Ports, Prefix};
use ipnet::IpNet;

use super::spec::Flow;

/// Bits in front of a mapped IPv4 address.
const V4_BITS: u8 = 96;

/// An address.
pub fn address(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(v4) => Address::from_v4(v4.octets()),
        IpAddr::V6(v6) => Address::from_bytes(v6.octets()),
    }
}

/// A prefix, and its length in bits of the mapped form.
pub fn prefix(net: IpNet) -> (Prefix, u8) {
    let len = match net {
        IpNet::V4(net) => net.prefix_len() + V4_BITS,
        IpNet::V6(net) => net.prefix_len(),
    };
    (Prefix::new(address(net.network()), len), len)
}

/// The packets of a flow that leave this host.
pub fn exempt_key(flow: &Flow) -> ExemptKey {
    let end = |end: &SocketAddr| (address(end.ip().to_canonical()), end.port());
    let ((source, source_port), (destination, destination_port)) =
        (end(&flow.local), end(&flow.remote));
    ExemptKey {
        source,
        destination,
        ports: Ports { source: source_port, destination: destination_port },
        protocol: libc::IPPROTO_TCP as u32,
    }
}
