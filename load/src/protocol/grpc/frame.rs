//! Messages and their five bytes of framing.

use bytes::{Buf, Bytes, BytesMut};

use crate::measure::{ErrorKind, Failure};

/// Before each message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// Most messages of one answer whose times are kept, so that an endless stream does not eat memory.
const MOST_TIMES: usize = 100_000;

/// A message as it stands on the wire.
#[must_use]
pub fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(HEAD + message.len());
    out.push(0);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
    out.into()
}

/// Which messages of an answer are kept for checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// None: nothing looks at them.
    None,
    /// The last one.
    Last,
    /// All of them.
    All,
}

/// Takes the messages of an answer.
#[derive(Debug)]
pub struct Messages {
    keep: Keep,
    /// Longest message that is taken, and most bytes that are kept.
    limit: usize,
    /// The beginning of a message whose end has not arrived.
    partial: BytesMut,
    kept: Vec<Bytes>,
    size: usize,
    overflowed: bool,
    count: u64,
    times: Option<Vec<u64>>,
}

impl Messages {
    /// Keeps what `keep` says, up to `limit` bytes; `timed`: the time of each message is noted.
    #[must_use]
    pub fn new(keep: Keep, limit: usize, timed: bool) -> Self {
        Self {
            keep,
            limit,
            partial: BytesMut::new(),
            kept: Vec::new(),
            size: 0,
            overflowed: false,
            count: 0,
            times: timed.then(Vec::new),
        }
    }

    /// Takes what arrived at `now`.
    ///
    /// # Errors
    /// It is no message, or one that is not taken.
    pub fn take(&mut self, mut data: Bytes, now: u64) -> Result<(), Failure> {
        if self.partial.is_empty() {
            while let Some(length) = self.complete(&data)? {
                let message = data.split_to(length).slice(HEAD..);
                self.message(message, now)?;
            }
            self.partial.extend_from_slice(&data);
            return Ok(());
        }
        self.partial.extend_from_slice(&data);
        while let Some(length) = self.complete(&self.partial)? {
            let message = self.partial.split_to(length).freeze().slice(HEAD..);
            self.message(message, now)?;
        }
        Ok(())
    }

    /// The length of the message at the start of `data` with its head, if all of it is there.
    fn complete(&self, data: &[u8]) -> Result<Option<usize>, Failure> {
        let Some((mut head, rest)) = data.split_at_checked(HEAD) else { return Ok(None) };
        let flag = head.get_u8();
        let length = head.get_u32() as usize;
        if flag == 1 {
            let text = "a compressed message, though none was asked for";
            return Err(Failure::new(ErrorKind::Protocol, text));
        }
        if flag != 0 {
            let text = format!("no gRPC message: it begins with {flag:#04x}");
            return Err(Failure::new(ErrorKind::Protocol, text));
        }
        if length > self.limit {
            let text = format!(
                "a message of {length} bytes; up to {} are taken (limits.body)",
                self.limit
            );
            return Err(Failure::new(ErrorKind::Protocol, text));
        }
        Ok((rest.len() >= length).then_some(HEAD + length))
    }

    fn message(&mut self, message: Bytes, now: u64) -> Result<(), Failure> {
        if !is_message(&message) {
            let text = format!("{} bytes that are no message of Protocol Buffers", message.len());
            return Err(Failure::new(ErrorKind::Protocol, text));
        }
        self.count += 1;
        if let Some(times) = self.times.as_mut().filter(|times| times.len() < MOST_TIMES) {
            times.push(now);
        }
        match self.keep {
            Keep::None => {}
            Keep::Last => {
                self.kept.clear();
                self.kept.push(message);
            }
            Keep::All if self.size + message.len() > self.limit => self.overflowed = true,
            Keep::All => {
                self.size += message.len();
                self.kept.push(message);
            }
        }
        Ok(())
    }

    /// Those that were kept.
    #[must_use]
    pub fn kept(&self) -> &[Bytes] {
        &self.kept
    }

    /// Whether there were more than are kept.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// How many came.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether the last one is incomplete.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        !self.partial.is_empty()
    }

    /// When they came, if that was to be noted.
    #[must_use]
    pub fn times(&self) -> Option<&[u64]> {
        self.times.as_deref()
    }
}

/// Whether bytes are fields of Protocol Buffers, one after the other
/// (<https://protobuf.dev/programming-guides/encoding/>). Costs little, so that an answer that no
/// client could read is a failure even where no check looks at it.
fn is_message(mut bytes: &[u8]) -> bool {
    let mut groups = Vec::new();
    while !bytes.is_empty() {
        let Some(tag) = varint(&mut bytes) else { return false };
        let (field, wire) = (tag >> 3, tag & 7);
        if !(1..1 << 29).contains(&field) {
            return false;
        }
        let skipped = match wire {
            0 => varint(&mut bytes).map(|_| 0),
            1 => Some(8),
            2 => varint(&mut bytes).and_then(|length| usize::try_from(length).ok()),
            3 => {
                groups.push(field);
                Some(0)
            }
            4 => (groups.pop() == Some(field)).then_some(0),
            5 => Some(4),
            _ => None,
        };
        match skipped.and_then(|length| bytes.get(length..)) {
            Some(rest) => bytes = rest,
            None => return false,
        }
    }
    groups.is_empty()
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &[u8], piece: usize, keep: Keep) -> Result<Messages, Failure> {
        let mut messages = Messages::new(keep, 20, true);
        for (at, piece) in bytes.chunks(piece).enumerate() {
            messages.take(Bytes::copy_from_slice(piece), at as u64)?;
        }
        Ok(messages)
    }

    #[test]
    fn messages_are_the_same_however_they_arrive() {
        let bytes = [framed(b"\x08\x01"), framed(b""), framed(b"\x12\x02ab")].concat();
        for piece in [1, 2, 3, 7, 100] {
            let all = take(&bytes, piece, Keep::All).unwrap();
            assert_eq!(all.kept(), [&b"\x08\x01"[..], b"", b"\x12\x02ab"], "in pieces of {piece}");
            assert_eq!((all.count(), all.is_cut(), all.times().unwrap().len()), (3, false, 3));
            let last = take(&bytes, piece, Keep::Last).unwrap();
            assert_eq!(last.kept(), [&b"\x12\x02ab"[..]]);
            let cut = take(&bytes[..bytes.len() - 1], piece, Keep::None).unwrap();
            assert_eq!((cut.count(), cut.is_cut(), cut.kept().len()), (2, true, 0));
        }
    }

    #[test]
    fn what_is_no_message_is_refused_as_soon_as_that_is_known() {
        for (bytes, says) in [
            (&b"\x01\0\0\0\x02ab"[..], "compressed"),
            (b"HTTP/1.1 200", "begins with 0x48"),
            (b"\0\0\0\0\x15", "a message of 21 bytes; up to 20"),
            (b"\0\xff\xff\xff\xff", "4294967295 bytes"),
            (b"\0\0\0\0\x02ab", "no message"),
            (b"\0\0\0\0\x02\x12\x09", "no message"),
        ] {
            let failure = take(bytes, 100, Keep::None).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Protocol);
            assert!(failure.detail.contains(says), "{failure}");
        }
    }

    #[test]
    fn more_than_fits_is_not_kept() {
        let bytes = framed(b"\x12\x0c0123456789ab").repeat(2);
        let messages = take(&bytes, 100, Keep::All).unwrap();
        assert!(messages.overflowed() && messages.kept().len() == 1 && messages.count() == 2);
    }

    #[test]
    fn fields_of_every_wire_type_are_a_message() {
        for good in [
            &b""[..],
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x09........",
            b"\x0d....",
            b"\x0b\x08\x01\x0c",
        ] {
            assert!(is_message(good), "{good:?}");
        }
        for bad in [&b"\x08"[..], b"\x00\x01", b"\x09.......", b"\x0b\x08\x01", b"\x0c", b"\x0f"] {
            assert!(!is_message(bad), "{bad:?}");
        }
    }
}
