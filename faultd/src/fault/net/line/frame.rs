//! What a frame looks like when it comes out of the TAP, and how it has to
//! look when it goes back.
//!
//! Out of the TAP: a virtio-net header, the [`LineMeta`](faultd_abi::LineMeta) that the classifier
//! wrote, the packet. On loopback the meta stands where the Ethernet header
//! was (both are 14 bytes, and loopback's is all zero but for the type); on
//! every other device it stands in front of the whole frame. Everything is
//! put right in place, so a frame is never copied in user space.

use faultd_abi::{LINE_META_LEN, LineFrame};

use super::OriginKind;

/// `struct virtio_net_hdr`, `include/uapi/linux/virtio_net.h`. The TAP writes
/// it and the packet socket expects it, both in host byte order.
pub(super) const VNET_LEN: usize = 10;

/// Length of an Ethernet header, and not by chance of the meta too.
const ETH_LEN: usize = LINE_META_LEN;

/// One 802.1Q tag.
const VLAN_LEN: usize = 4;

/// Loopback carries 64 KiB packets; elsewhere an Ethernet header and a tag
/// come on top.
pub(super) const MAX_READ: usize = VNET_LEN + LINE_META_LEN + VLAN_LEN + ETH_LEN + 65_536;

/// Headers beyond this need not be linear when the kernel builds the packet
/// again: without a limit it would look for 64 KiB in one piece.
const LINEAR_MAX: u16 = 256;

const META_AT: usize = VNET_LEN;
const FRAME_AT: usize = VNET_LEN + LINE_META_LEN;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const NEEDS_CSUM: u8 = 1;

const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;

/// Offsets in `struct virtio_net_hdr`.
mod vnet {
    pub const FLAGS: usize = 0;
    pub const HDR_LEN: usize = 2;
    pub const CSUM_START: usize = 6;
    pub const CSUM_OFFSET: usize = 8;
}

/// A frame ready to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shaped {
    /// Bytes at the start that no longer belong to it.
    pub skip: u32,
    /// `sll_protocol`, in host byte order.
    pub protocol: u16,
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn ne16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn put_ne16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(slot) = bytes.get_mut(at..at + 2) {
        slot.copy_from_slice(&value.to_ne_bytes());
    }
}

/// The EtherType that an IP packet's first nibble stands for.
fn ip_protocol(bytes: &[u8], at: usize) -> Option<u16> {
    match bytes.get(at)? >> 4 {
        4 => Some(ETH_P_IP),
        6 => Some(ETH_P_IPV6),
        _ => None,
    }
}

/// Reads the meta of a frame as it came out of the TAP. `None` if it is too
/// short to have one.
pub(super) fn parse(bytes: &[u8]) -> Option<LineFrame> {
    LineFrame::parse(bytes.get(META_AT..)?)
}

/// Turns the bytes that were read into what has to be sent on a device of
/// `kind`. `None` if it cannot be one of our frames.
pub(super) fn shape(bytes: &mut [u8], parsed: &LineFrame, kind: OriginKind) -> Option<Shaped> {
    match kind {
        OriginKind::Loopback => shape_in_place(bytes, parsed),
        OriginKind::Ethernet | OriginKind::Ingress => shape_prefixed(bytes, parsed, |bytes, at| {
            be16(bytes, at + 12).filter(|_| bytes.len() >= at + ETH_LEN)
        }),
        OriginKind::L3 => shape_prefixed(bytes, parsed, ip_protocol),
    }
}

/// The meta replaced the Ethernet header: write that again.
fn shape_in_place(bytes: &mut [u8], parsed: &LineFrame) -> Option<Shaped> {
    if parsed.vlan.is_some() {
        return None; // loopback has no VLANs
    }
    let protocol = ip_protocol(bytes, FRAME_AT)?;
    let header = bytes.get_mut(META_AT..FRAME_AT)?;
    header.fill(0);
    header[12..].copy_from_slice(&protocol.to_be_bytes());
    limit_linear(bytes, bytes.len() - VNET_LEN);
    Some(Shaped { skip: 0, protocol })
}

/// The meta stands before the frame: strip it, and move the virtio-net header
/// (and the tag, to where it belongs) next to the frame.
fn shape_prefixed(
    bytes: &mut [u8],
    parsed: &LineFrame,
    protocol_at: fn(&[u8], usize) -> Option<u16>,
) -> Option<Shaped> {
    if let Some(tag) = parsed.vlan {
        // [meta 12][tag][meta 2][macs 12]… becomes …[macs 12][tag]…
        let macs_at = FRAME_AT + VLAN_LEN;
        bytes.get(macs_at..macs_at + 12)?;
        bytes.copy_within(macs_at..macs_at + 12, FRAME_AT);
        bytes[FRAME_AT + 12..FRAME_AT + 12 + VLAN_LEN].copy_from_slice(&tag);
    }
    let protocol = protocol_at(bytes, FRAME_AT)?;
    let stripped = u16::try_from(LINE_META_LEN).ok()?;
    if bytes[vnet::FLAGS] & NEEDS_CSUM != 0 {
        // The kernel counted the tag already (tun_put_user).
        let start = ne16(bytes, vnet::CSUM_START)?.checked_sub(stripped)?;
        put_ne16(bytes, vnet::CSUM_START, start);
    }
    let header = ne16(bytes, vnet::HDR_LEN)?.saturating_sub(stripped);
    put_ne16(bytes, vnet::HDR_LEN, header);
    limit_linear(bytes, bytes.len() - FRAME_AT);
    bytes.copy_within(..VNET_LEN, LINE_META_LEN);
    Some(Shaped { skip: u32::from(stripped), protocol })
}

/// Sets how much of a frame of `len` bytes the kernel shall put in one piece
/// (`hdr_len`, which `packet_snd` takes for that): the headers.
fn limit_linear(bytes: &mut [u8], len: usize) {
    let (Some(start), Some(offset), Some(given)) =
        (ne16(bytes, vnet::CSUM_START), ne16(bytes, vnet::CSUM_OFFSET), ne16(bytes, vnet::HDR_LEN))
    else {
        return;
    };
    let checksum_end = if bytes[vnet::FLAGS] & NEEDS_CSUM != 0 {
        start.saturating_add(offset).saturating_add(2)
    } else {
        0
    };
    let wanted = if given == 0 { LINEAR_MAX } else { given.min(LINEAR_MAX) };
    let len = u16::try_from(len).unwrap_or(u16::MAX);
    put_ne16(bytes, vnet::HDR_LEN, wanted.max(checksum_end).min(len));
}

#[cfg(test)]
mod tests {
    use faultd_abi::LineMeta;

    use super::*;

    fn meta(origin: u16) -> LineMeta {
        LineMeta { deadline: 0x1234_5678_9abc, delay_us: 500_000, slot: 7, origin }
    }

    fn raw(vnet: [u8; VNET_LEN], origin: u16, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vnet.to_vec();
        bytes.extend(meta(origin).to_bytes());
        bytes.extend(rest);
        bytes
    }

    fn needs_csum(start: u16, offset: u16, hdr_len: u16) -> [u8; VNET_LEN] {
        let mut vnet = [0; VNET_LEN];
        vnet[0] = NEEDS_CSUM;
        vnet[2..4].copy_from_slice(&hdr_len.to_ne_bytes());
        vnet[6..8].copy_from_slice(&start.to_ne_bytes());
        vnet[8..10].copy_from_slice(&offset.to_ne_bytes());
        vnet
    }

    fn sent(bytes: &[u8], shaped: Shaped) -> &[u8] {
        &bytes[shaped.skip as usize..]
    }

    #[test]
    fn loopback_gets_its_ethernet_header_back() {
        for (first, protocol) in [(0x45, ETH_P_IP), (0x60, ETH_P_IPV6)] {
            let mut packet = vec![first];
            packet.extend([9; 99]);
            let mut bytes = raw(needs_csum(34, 16, 66), 3, &packet);
            let parsed = parse(&bytes).unwrap();
            assert_eq!(parsed.meta, meta(3));
            let shaped = shape(&mut bytes, &parsed, OriginKind::Loopback).unwrap();
            assert_eq!(shaped, Shaped { skip: 0, protocol });
            assert_eq!(bytes[..VNET_LEN], needs_csum(34, 16, 66));
            assert_eq!(bytes[META_AT..META_AT + 12], [0; 12]);
            assert_eq!(bytes[META_AT + 12..FRAME_AT], protocol.to_be_bytes());
            assert_eq!(bytes[FRAME_AT..], packet);
        }
    }

    #[test]
    fn elsewhere_the_meta_is_stripped_and_the_checksum_place_moves() {
        let mut frame = vec![1; 12];
        frame.extend([0x08, 0x00, 0x45]);
        frame.extend([9; 99]);
        let mut bytes = raw(needs_csum(14 + 34, 16, 14 + 66), 3, &frame);
        let parsed = parse(&bytes).unwrap();
        for kind in [OriginKind::Ethernet, OriginKind::Ingress] {
            let mut bytes = bytes.clone();
            let shaped = shape(&mut bytes, &parsed, kind).unwrap();
            assert_eq!(shaped.protocol, ETH_P_IP);
            assert_eq!(sent(&bytes, shaped)[..VNET_LEN], needs_csum(34, 16, 66));
            assert_eq!(sent(&bytes, shaped)[VNET_LEN..], frame);
        }
        // The same bytes are no IP packet, so an L3 device refuses them.
        assert_eq!(shape(&mut bytes, &parsed, OriginKind::L3), None);
    }

    #[test]
    fn a_layer_three_device_gets_the_bare_packet() {
        let packet = [0x60; 80];
        let mut bytes = raw([0; VNET_LEN], 3, &packet);
        let parsed = parse(&bytes).unwrap();
        let shaped = shape(&mut bytes, &parsed, OriginKind::L3).unwrap();
        assert_eq!(shaped.protocol, ETH_P_IPV6);
        assert_eq!(sent(&bytes, shaped)[VNET_LEN..], packet);
    }

    #[test]
    fn a_tag_from_the_metadata_goes_where_it_belongs() {
        let mut frame = vec![1; 6];
        frame.extend([2; 6]);
        frame.extend([0x08, 0x00, 0x45, 7, 7, 7]);
        let tag = [0x81, 0x00, 0x20, 0x2a];
        let mut bytes = raw(needs_csum(14 + 38, 16, 14 + 66), 3, &frame);
        bytes.splice(META_AT + 12..META_AT + 12, tag);
        let parsed = parse(&bytes).unwrap();
        assert_eq!(parsed.meta, meta(3));
        let shaped = shape(&mut bytes, &parsed, OriginKind::Ethernet).unwrap();
        assert_eq!(shaped.protocol, 0x8100);
        let out = sent(&bytes, shaped);
        assert_eq!(ne16(out, vnet::CSUM_START), Some(38));
        let mut tagged = frame[..12].to_vec();
        tagged.extend(tag);
        tagged.extend(&frame[12..]);
        assert_eq!(out[VNET_LEN..], tagged);
    }

    #[test]
    fn headers_stay_linear_and_payload_does_not() {
        let long = |vnet| {
            let mut bytes = raw(vnet, 3, &[0x45; 65_000]);
            let parsed = parse(&bytes).unwrap();
            shape(&mut bytes, &parsed, OriginKind::Loopback).unwrap();
            ne16(&bytes, vnet::HDR_LEN).unwrap()
        };
        assert_eq!(long([0; VNET_LEN]), LINEAR_MAX);
        assert_eq!(long(needs_csum(34, 16, 60_000)), LINEAR_MAX);
        assert_eq!(long(needs_csum(34, 16, 66)), 66);
        assert_eq!(long(needs_csum(400, 16, 0)), 418);
    }

    #[test]
    fn short_and_foreign_frames_are_refused() {
        for len in 0..FRAME_AT {
            assert_eq!(parse(&vec![0; len]), None);
        }
        for kind in
            [OriginKind::Loopback, OriginKind::Ethernet, OriginKind::L3, OriginKind::Ingress]
        {
            let mut bytes = raw([0; VNET_LEN], 3, &[]);
            let parsed = parse(&bytes).unwrap();
            assert_eq!(shape(&mut bytes, &parsed, kind), None);
        }
        // A checksum place within the meta would point outside the frame.
        let mut bytes = raw(needs_csum(5, 1, 0), 3, &[0x45; 60]);
        let parsed = parse(&bytes).unwrap();
        assert_eq!(shape(&mut bytes, &parsed, OriginKind::Ethernet), None);
    }
}
