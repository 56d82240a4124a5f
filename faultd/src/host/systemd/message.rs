//! D-Bus messages, as far as asking for a property takes them; D-Bus
//! specification, "Message protocol" and "Marshaling".

/// Bytes of the fixed part of a header, the length of its fields included.
pub(super) const HEAD: usize = 16;

/// Codes of header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Who is called: systemd answers to this name with and without a bus.
const SYSTEMD: &str = "org.freedesktop.systemd1";

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    Return,
    Error,
    Signal,
}

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub kind: Kind,
    /// The serial number of the call that it answers.
    pub reply_to: Option<u32>,
    body: Vec<u8>,
}

/// A call of a method that takes strings.
pub(super) fn call(
    serial: u32,
    path: &str,
    interface: &str,
    member: &str,
    arguments: &[&str],
) -> Vec<u8> {
    let mut body = Writer::default();
    for argument in arguments {
        body.text(argument);
    }
    let mut fields = Writer::default();
    fields.field(PATH, "o", |w| w.text(path));
    fields.field(INTERFACE, "s", |w| w.text(interface));
    fields.field(MEMBER, "s", |w| w.text(member));
    fields.field(DESTINATION, "s", |w| w.text(SYSTEMD));
    fields.field(SIGNATURE, "g", |w| w.signature(&"s".repeat(arguments.len())));

    // Little endian, a method call, no flags, version 1.
    let mut message = Writer(vec![b'l', 1, 0, 1]);
    message.number(body.0.len());
    message.0.extend(serial.to_le_bytes());
    message.number(fields.0.len());
    // The fixed part ends on a multiple of eight, so fields keep their alignment.
    message.0.extend(fields.0);
    message.align(8);
    message.0.extend(body.0);
    message.0
}

/// How many bytes follow the fixed part; `None` when it is none of a message.
pub(super) fn rest(head: &[u8; HEAD]) -> Option<usize> {
    let number = |at: usize| number(head[0], head.get(at..at + 4)?);
    let (body, fields) = (number(4)? as usize, number(12)? as usize);
    fields.checked_next_multiple_of(8)?.checked_add(body)
}

impl Message {
    /// Takes a message apart; `None` when it is malformed.
    pub(super) fn parse(head: &[u8; HEAD], rest: &[u8]) -> Option<Self> {
        let kind = match head[1] {
            1 => Kind::Call,
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => return None,
        };
        let fields = number(head[0], &head[12..16])? as usize;
        let body = rest.get(fields.checked_next_multiple_of(8)?..)?.to_vec();
        let reply_to = reply_serial(head[0], rest.get(..fields)?);
        // What follows is read in the byte order of this machine.
        (head[0] == b'l').then_some(Self { kind, reply_to, body })
    }

    /// The string or object path that it begins with.
    pub(super) fn text(&self) -> Option<String> {
        Reader { bytes: &self.body, at: 0 }.text()
    }

    /// The string in the variant that it begins with.
    pub(super) fn variant_text(&self) -> Option<String> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        if reader.signature()? != "s" {
            return None;
        }
        reader.text()
    }
}

/// Walks over the fields to the one that tells what is answered.
fn reply_serial(order: u8, fields: &[u8]) -> Option<u32> {
    let mut reader = Reader { bytes: fields, at: 0 };
    loop {
        reader.align(8);
        let code = reader.byte()?;
        match reader.signature()?.as_str() {
            "u" => {
                reader.align(4);
                let value = number(order, reader.take(4)?)?;
                if code == REPLY_SERIAL {
                    return Some(value);
                }
            }
            "s" | "o" => drop(reader.text()?),
            "g" => drop(reader.signature()?),
            _ => return None,
        }
    }
}

fn number(order: u8, bytes: &[u8]) -> Option<u32> {
    let bytes = bytes.try_into().ok()?;
    match order {
        b'l' => Some(u32::from_le_bytes(bytes)),
        b'B' => Some(u32::from_be_bytes(bytes)),
        _ => None,
    }
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    /// A length: nothing here is longer than what an option may hold (4 KiB).
    fn number(&mut self, number: usize) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.align(4);
        self.number(text.len());
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    fn field(&mut self, code: u8, signature: &str, value: impl FnOnce(&mut Self)) {
        self.align(8);
        self.0.push(code);
        self.signature(signature);
        value(self);
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn text(&mut self) -> Option<String> {
        self.align(4);
        let length = number(b'l', self.take(4)?)? as usize;
        let text = self.take(length)?.to_vec();
        self.take(1)?;
        String::from_utf8(text).ok()
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.byte()?.into();
        let text = self.take(length)?.to_vec();
        self.take(1)?;
        String::from_utf8(text).ok()
    }
}
