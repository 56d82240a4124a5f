//! Netlink messages as bytes: building requests, walking replies.
//!
//! Layouts: Linux `include/uapi/linux/netlink.h`. Every length that comes
//! from outside is checked; a malformed tail ends the walk.

/// `sizeof(struct nlmsghdr)`.
const HEADER_BYTES: usize = 16;
/// `sizeof(struct nlattr)`.
const ATTR_HEADER_BYTES: usize = 4;
/// `NLMSGERR_ATTR_MSG`.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Netlink aligns to four bytes.
const fn align(len: usize) -> usize {
    (len + 3) & !3
}

/// Two bytes in host order at an offset.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Four bytes in host order at an offset.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A request under construction.
pub(crate) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request of one type with the fixed part that goes with it.
    pub(crate) fn new(kind: u16, flags: i32, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        let flags = flags as u16 | libc::NLM_F_REQUEST as u16;
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(fixed);
        let mut request = Self { bytes };
        request.pad();
        request
    }

    fn pad(&mut self) {
        self.bytes.resize(align(self.bytes.len()), 0);
    }

    /// Adds an attribute.
    pub(crate) fn attr(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(start);
        self.pad();
        self
    }

    /// Adds a number in host order.
    pub(crate) fn attr_u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attr(kind, &value.to_ne_bytes())
    }

    /// Adds a text with its closing NUL.
    pub(crate) fn attr_str(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attr(kind, &bytes)
    }

    /// Adds an attribute whose content `fill` writes: raw bytes through
    /// [`Self::raw`], attributes, or both (as netem wants it).
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.open(kind);
        fill(self);
        self.close(start);
        self
    }

    /// Adds bytes as they are, padded.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; ATTR_HEADER_BYTES]);
        self.bytes[start + 2..].copy_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        let len = self.bytes.len() - start;
        // What faultd sends is a few KiB at most (a distribution table).
        debug_assert!(len <= usize::from(u16::MAX));
        self.bytes[start..start + 2].copy_from_slice(&(len as u16).to_ne_bytes());
    }

    /// The bytes to send.
    pub(crate) fn finish(mut self, flags: u16, seq: u32) -> Vec<u8> {
        let len = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&len.to_ne_bytes());
        let flags = u16_at(&self.bytes, 6).unwrap_or_default() | flags;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&seq.to_ne_bytes());
        self.bytes
    }
}

/// One message of a reply.
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) seq: u32,
    pub(super) payload: &'a [u8],
}

/// Walks the messages of one datagram.
pub(super) struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    pub(super) fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let len = u32_at(self.0, 0)? as usize;
        let payload = self.0.get(HEADER_BYTES..len)?;
        let message = Message {
            kind: u16_at(self.0, 4)?,
            flags: u16_at(self.0, 6)?,
            seq: u32_at(self.0, 8)?,
            payload,
        };
        self.0 = self.0.get(align(len)..).unwrap_or_default();
        Some(message)
    }
}

/// Walks attributes: (type without flag bits, value).
#[derive(Clone)]
pub(crate) struct Attrs<'a>(&'a [u8]);

impl<'a> Attrs<'a> {
    /// The attributes that follow a fixed part of `fixed` bytes.
    pub(crate) fn after(payload: &'a [u8], fixed: usize) -> Self {
        Self(payload.get(align(fixed)..).unwrap_or_default())
    }

    /// The first attribute of a type.
    pub(crate) fn find(&self, kind: u16) -> Option<&'a [u8]> {
        Iterator::find(&mut self.clone(), |(k, _)| *k == kind).map(|(_, value)| value)
    }

    /// The first attribute of a type, as a number in host order.
    pub(crate) fn u32(&self, kind: u16) -> Option<u32> {
        u32_at(self.find(kind)?, 0)
    }

    /// The first attribute of a type, as text.
    pub(crate) fn text(&self, kind: u16) -> Option<String> {
        let value = self.find(kind)?;
        let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
        Some(String::from_utf8_lossy(&value[..end]).into_owned())
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        /// `NLA_TYPE_MASK`: without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
        const TYPE_MASK: u16 = 0x3fff;
        let len = usize::from(u16_at(self.0, 0)?);
        let value = self.0.get(ATTR_HEADER_BYTES..len)?;
        let kind = u16_at(self.0, 2)? & TYPE_MASK;
        self.0 = self.0.get(align(len)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// The kernel's own words in an NLMSG_ERROR or NLMSG_DONE message.
pub(super) fn ext_ack_text(message: &Message<'_>) -> Option<String> {
    if i32::from(message.flags) & libc::NLM_F_ACK_TLVS == 0 {
        return None;
    }
    // After the code comes the request's header, and its payload too unless
    // NLM_F_CAPPED says that it was left out.
    let fixed = if i32::from(message.kind) == libc::NLMSG_DONE {
        4
    } else if i32::from(message.flags) & libc::NLM_F_CAPPED != 0 {
        4 + HEADER_BYTES
    } else {
        4 + u32_at(message.payload, 4)? as usize
    };
    Attrs::after(message.payload, fixed).text(NLMSGERR_ATTR_MSG).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_laid_out_as_netlink_wants() {
        let mut request = Request::new(0x24, libc::NLM_F_CREATE, &[9; 6]);
        request.attr_str(1, "fq").nest(2, |r| {
            r.raw(&[7; 5]).attr(3, &[1, 2]);
        });
        let bytes = request.finish(libc::NLM_F_ACK as u16, 5);
        let expected: &[&[u8]] = &[
            &[56, 0, 0, 0, 0x24, 0, 5, 4, 5, 0, 0, 0, 0, 0, 0, 0],
            &[9, 9, 9, 9, 9, 9, 0, 0],
            &[7, 0, 1, 0, b'f', b'q', 0, 0],
            &[20, 0, 2, 0, 7, 7, 7, 7, 7, 0, 0, 0, 6, 0, 3, 0, 1, 2, 0, 0],
        ];
        let mut expected = expected.concat();
        expected[0] = expected.len() as u8;
        assert_eq!(bytes, expected);
    }

    #[test]
    fn attributes_round_trip() {
        let mut request = Request::new(1, 0, &[]);
        request.attr_u32(7, 42).attr_str(8, "lo").attr(9 | 0x8000, &[]);
        let bytes = request.finish(0, 1);
        let attrs = Attrs::after(&bytes, HEADER_BYTES);
        assert_eq!(attrs.u32(7), Some(42));
        assert_eq!(attrs.text(8).as_deref(), Some("lo"));
        assert_eq!(attrs.find(9), Some(&[][..]));
        assert_eq!(attrs.find(10), None);
    }

    #[test]
    fn malformed_replies_end_the_walk() {
        for bytes in [&[][..], &[1, 0], &[3, 0, 1, 0], &[255, 0, 1, 0, 1], &[0; 16]] {
            assert_eq!(Attrs::after(bytes, 0).count(), 0, "{bytes:?}");
            assert_eq!(Messages::new(bytes).count(), 0, "{bytes:?}");
        }
    }

    #[test]
    fn the_extended_acknowledgement_is_found() {
        let mut tail = Request::new(0, 0, &[]);
        tail.attr_str(NLMSGERR_ATTR_MSG, "Specified qdisc kind is unknown.");
        let attrs = tail.finish(0, 0)[HEADER_BYTES..].to_vec();
        let mut payload = (-2i32).to_ne_bytes().to_vec();
        payload.extend_from_slice(&16u32.to_ne_bytes());
        payload.extend_from_slice(&[0; 12]);
        payload.extend_from_slice(&attrs);
        let flags = (libc::NLM_F_ACK_TLVS | libc::NLM_F_CAPPED) as u16;
        let kind = libc::NLMSG_ERROR as u16;
        let message = Message { kind, flags, seq: 0, payload: &payload };
        assert_eq!(ext_ack_text(&message).unwrap(), "Specified qdisc kind is unknown.");
        let plain = Message { flags: 0, ..message };
        assert_eq!(ext_ack_text(&plain), None);
    }
}
