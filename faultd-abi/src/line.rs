//! What the classifier writes in front of a packet that goes to the delay line.

/// Bytes of a [`LineMeta`] on the wire: as many as an Ethernet header, because
/// on loopback it takes that header's place.
pub const LINE_META_LEN: usize = 14;

/// Highest origin that the plane hands out. Origins stay clear of the VLAN
/// ethertypes 0x8100 and 0x88a8; see [`LineFrame`].
pub const MAX_ORIGIN: u16 = 0x0fff;

/// The 14 bytes in front of a packet that is to be held.
///
/// On the wire, big-endian: deadline (6 bytes), delay (4), slot (2),
/// origin (2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineMeta {
    /// Low 48 bits of the boot-time nanosecond at which the packet is due.
    pub deadline: u64,
    /// The delay that was added, in microseconds.
    pub delay_us: u32,
    /// Slot of the rule that asked for it (of several: the last one).
    pub slot: u16,
    /// Where it came from: the plane's number for the interface.
    pub origin: u16,
}

const DEADLINE_BITS: u32 = 48;
const DEADLINE_MASK: u64 = (1 << DEADLINE_BITS) - 1;

impl LineMeta {
    /// The wire form.
    #[inline(always)]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; LINE_META_LEN] {
        let d = self.deadline.to_be_bytes();
        let u = self.delay_us.to_be_bytes();
        let s = self.slot.to_be_bytes();
        let o = self.origin.to_be_bytes();
        [d[2], d[3], d[4], d[5], d[6], d[7], u[0], u[1], u[2], u[3], s[0], s[1], o[0], o[1]]
    }

    /// From the wire form.
    #[inline]
    #[must_use]
    pub const fn from_bytes(b: &[u8; LINE_META_LEN]) -> Self {
        Self {
            deadline: u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]]),
            delay_us: u32::from_be_bytes([b[6], b[7], b[8], b[9]]),
            slot: u16::from_be_bytes([b[10], b[11]]),
            origin: u16::from_be_bytes([b[12], b[13]]),
        }
    }

    /// The deadline in full, given the boot-time clock now: the nearest
    /// nanosecond with these low bits. Right within 39 hours of `now_boot_ns`.
    #[inline]
    #[must_use]
    pub const fn deadline_boot_ns(&self, now_boot_ns: u64) -> u64 {
        // Sign-extend the 48-bit difference.
        let shift = u64::BITS - DEADLINE_BITS;
        let difference = self.deadline.wrapping_sub(now_boot_ns) & DEADLINE_MASK;
        let signed = ((difference << shift) as i64) >> shift;
        now_boot_ns.saturating_add_signed(signed)
    }
}

/// A frame as the line reads it from its TAP.
///
/// A VLAN tag that a packet carries beside its data (`skb->vlan_tci`) is
/// written into the frame by the TAP at the place where an Ethernet header
/// would have it, which is inside the meta header: after byte 12. No origin
/// looks like a VLAN ethertype, so that is recognisable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineFrame {
    /// The meta header.
    pub meta: LineMeta,
    /// The VLAN tag (ethertype and TCI, network order) that belongs after the
    /// two addresses of the original frame.
    pub vlan: Option<[u8; 4]>,
    /// Where the original frame starts (on loopback: the IP header).
    pub payload: usize,
}

impl LineFrame {
    /// Reads the meta header of `frame`; `None` when it is too short.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let head: &[u8; LINE_META_LEN] = frame.get(..LINE_META_LEN)?.try_into().ok()?;
        let tag = match (head[12], head[13]) {
            (0x81, 0x00) | (0x88, 0xa8) => frame.get(12..16)?,
            _ => {
                let meta = LineMeta::from_bytes(head);
                return Some(Self { meta, vlan: None, payload: LINE_META_LEN });
            }
        };
        let mut bytes = *head;
        bytes[12..].copy_from_slice(frame.get(16..18)?);
        Some(Self {
            meta: LineMeta::from_bytes(&bytes),
            vlan: Some(tag.try_into().ok()?),
            payload: LINE_META_LEN + tag.len(),
        })
    }
}

const _: () = assert!(MAX_ORIGIN < 0x8100);

#[cfg(test)]
mod tests {
    use super::*;

    const META: LineMeta = LineMeta {
        deadline: 0x0102_0304_0506,
        delay_us: 0x0708_090a,
        slot: 0x0b0c,
        origin: 0x0d0e,
    };

    #[test]
    fn the_wire_form_is_big_endian_and_reversible() {
        let bytes = META.to_bytes();
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        assert_eq!(LineMeta::from_bytes(&bytes), META);
    }

    #[test]
    fn deadlines_are_found_again_around_the_wrap() {
        for now in [0, 1, (1 << 48) - 1, 1 << 48, (1 << 48) + 5, 7 << 50] {
            for ahead in [0, 1, 1_000, 60_000_000_000, 3_600_000_000_000] {
                let due: u64 = now + ahead;
                let meta = LineMeta { deadline: due & DEADLINE_MASK, ..META };
                assert_eq!(meta.deadline_boot_ns(now), due, "{now} + {ahead}");
                assert_eq!(meta.deadline_boot_ns(due + 500), due, "late by 500 ns");
            }
        }
    }

    #[test]
    fn a_frame_too_short_for_its_header_is_refused() {
        let bytes = META.to_bytes();
        for len in 0..LINE_META_LEN {
            assert_eq!(LineFrame::parse(&bytes[..len]), None);
        }
        let frame = LineFrame::parse(&bytes).unwrap();
        assert_eq!(frame, LineFrame { meta: META, vlan: None, payload: 14 });
    }

    #[test]
    fn a_tag_inside_the_meta_header_is_taken_out() {
        for tag in [[0x81, 0x00, 0x20, 0x05], [0x88, 0xa8, 0x00, 0x01]] {
            let mut frame = [0_u8; 20];
            let meta = META.to_bytes();
            frame[..12].copy_from_slice(&meta[..12]);
            frame[12..16].copy_from_slice(&tag);
            frame[16..18].copy_from_slice(&meta[12..]);
            let parsed = LineFrame::parse(&frame).unwrap();
            assert_eq!(parsed, LineFrame { meta: META, vlan: Some(tag), payload: 18 });
            assert_eq!(LineFrame::parse(&frame[..17]), None);
        }
    }
}
