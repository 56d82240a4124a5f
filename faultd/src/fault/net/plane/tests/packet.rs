//! Packets for the classifiers, byte by byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;

/// A packet to be.
#[derive(Clone)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    /// What follows the IP header and its extensions.
    pub transport: Vec<u8>,
    /// VLAN tags (ethertype, TCI) that are in the frame.
    pub tags: Vec<(u16, u16)>,
    /// Words of IPv4 options.
    pub options: u8,
    /// IPv6 extension headers: their type and bytes, the first two of which
    /// are filled in.
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// IPv4: flags and fragment offset.
    pub fragment: u16,
    /// IPv4 identification.
    pub id: u16,
}

impl Packet {
    /// Of a protocol with ports.
    pub fn new(protocol: u8, source: (&str, u16), destination: (&str, u16)) -> Self {
        let mut transport = Vec::new();
        transport.extend(source.1.to_be_bytes());
        transport.extend(destination.1.to_be_bytes());
        transport.resize(20, 0);
        Self::raw(protocol, source.0, destination.0, transport)
    }

    /// Of any protocol.
    pub fn raw(protocol: u8, source: &str, destination: &str, transport: Vec<u8>) -> Self {
        Self {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol,
            transport,
            tags: Vec::new(),
            options: 0,
            extensions: Vec::new(),
            fragment: 0,
            id: 0,
        }
    }

    /// The frame.
    pub fn bytes(&self) -> Vec<u8> {
        let mut frame = vec![0; 12];
        for (ethertype, tci) in &self.tags {
            frame.extend(ethertype.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend([0x08, 0x00]);
                frame.extend(self.ipv4(source, destination));
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend([0x86, 0xdd]);
                frame.extend(self.ipv6(source, destination));
            }
            _ => panic!("addresses of two families"),
        }
        frame
    }

    fn ipv4(&self, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
        let words = 5 + self.options;
        let len = usize::from(words) * 4 + self.transport.len();
        let mut bytes = vec![0x40 | words, 0];
        bytes.extend((len as u16).to_be_bytes());
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.fragment.to_be_bytes());
        bytes.extend([64, self.protocol, 0, 0]);
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
        bytes.resize(usize::from(words) * 4, 1);
        bytes.extend(&self.transport);
        bytes
    }

    fn ipv6(&self, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
        let mut payload = Vec::new();
        for (i, (_, body)) in self.extensions.iter().enumerate() {
            let next = self.extensions.get(i + 1).map_or(self.protocol, |(kind, _)| *kind);
            let mut body = body.clone();
            body[0] = next;
            payload.extend(body);
        }
        payload.extend(&self.transport);
        let first = self.extensions.first().map_or(self.protocol, |(kind, _)| *kind);
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend([first, 64]);
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
        bytes.extend(payload);
        bytes
    }
}

/// A frame of some other ethertype.
pub fn frame(ethertype: u16) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend(ethertype.to_be_bytes());
    frame.resize(64, 0);
    frame
}

/// An IPv6 extension header of `words` times eight bytes.
pub fn extension(kind: u8, words: u8) -> (u8, Vec<u8>) {
    let mut body = vec![0; usize::from(words) * 8];
    body[1] = words - 1;
    (kind, body)
}

/// An IPv6 authentication header of `words` times four bytes.
pub fn authentication(words: u8) -> (u8, Vec<u8>) {
    let mut body = vec![0; usize::from(words) * 4];
    body[1] = words - 2;
    (51, body)
}

/// An IPv6 fragment header.
pub fn fragment(offset: u16, more: bool, id: u32) -> (u8, Vec<u8>) {
    let mut body = vec![0, 0];
    body.extend((offset << 3 | u16::from(more)).to_be_bytes());
    body.extend(id.to_be_bytes());
    (44, body)
}
