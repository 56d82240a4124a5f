//! Answers of Redis (RESP, version 2): <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
//!
//! The crates for it look at an answer from its start whenever more of it has come, take whatever
//! stands where the end of a string should be, and go as deep as the answer says. A server under
//! faults is not to be trusted with that, so this reads each byte once, and checks it.

use bytes::{Buf, BytesMut};
use memchr::memmem;

use crate::measure::{ErrorKind, Failure};

/// Lists in lists in lists: no command of Redis answers with more.
const DEEPEST: usize = 32;

/// Longest line: errors and simple strings are short, lengths shorter.
const LONGEST_LINE: usize = 64 * 1024;

/// What Redis answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `+OK`.
    Simple(Vec<u8>),
    /// `-ERR …`.
    Error(String),
    /// `:7`.
    Integer(i64),
    /// A string of any bytes.
    Bulk(Vec<u8>),
    /// Nothing.
    Nil,
    /// Values.
    Array(Vec<Value>),
}

/// Reads values one after the other.
#[derive(Debug)]
pub struct Decoder {
    /// Lists that are not complete: what they have, and how many are to come.
    open: Vec<(Vec<Value>, usize)>,
    /// Length of the string that is being read.
    string: Option<usize>,
    /// Most bytes that one answer may have.
    limit: usize,
    /// Bytes of the current answer.
    size: usize,
}

fn wrong(what: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::Protocol, what)
}

impl Decoder {
    /// One for answers of up to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { open: Vec::new(), string: None, limit, size: 0 }
    }

    /// The next value, if all of it is in `input`; takes what it has understood.
    ///
    /// # Errors
    /// What comes is none, or is longer than the limit.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Value>, Failure> {
        loop {
            let before = input.len();
            let Some(value) = self.scalar(input)? else { return Ok(None) };
            self.size += before - input.len();
            if self.size > self.limit {
                return Err(crate::protocol::tcp::too_long());
            }
            let Some(value) = value else { continue };
            if let Some(complete) = self.close(value) {
                self.size = 0;
                return Ok(Some(complete));
            }
        }
    }

    /// Puts a value where it belongs; returns the answer that it completes.
    fn close(&mut self, mut value: Value) -> Option<Value> {
        while let Some((mut items, left)) = self.open.pop() {
            items.push(value);
            if left > 1 {
                self.open.push((items, left - 1));
                return None;
            }
            value = Value::Array(items);
        }
        Some(value)
    }

    /// One step: a value that is no list, or `Some(None)` where one was begun. `None`: more is
    /// needed.
    fn scalar(&mut self, input: &mut BytesMut) -> Result<Option<Option<Value>>, Failure> {
        if let Some(length) = self.string {
            if input.len() < length + 2 {
                return Ok(None);
            }
            let text = input.split_to(length).to_vec();
            if &input[..2] != b"\r\n" {
                return Err(wrong(format!("a string is longer than the {length} bytes it says")));
            }
            input.advance(2);
            self.string = None;
            return Ok(Some(Some(Value::Bulk(text))));
        }
        let Some(&kind) = input.first() else { return Ok(None) };
        if !b"+-:$*".contains(&kind) {
            let text = format!("{:?} begins no answer of Redis", char::from(kind));
            return Err(wrong(text));
        }
        let Some(end) = memmem::find(&input[..input.len().min(LONGEST_LINE)], b"\r\n") else {
            return match input.len() < LONGEST_LINE {
                true => Ok(None),
                false => Err(wrong("a line of the answer has no end")),
            };
        };
        let line = input.split_to(end);
        input.advance(2);
        let text = &line[1..];
        let value = match kind {
            b'+' => Value::Simple(text.to_vec()),
            b'-' => Value::Error(String::from_utf8_lossy(text).into_owned()),
            b':' => Value::Integer(number(text)?),
            _ => match number(text)? {
                -1 => Value::Nil,
                0 if kind == b'*' => Value::Array(Vec::new()),
                length => {
                    let length = usize::try_from(length)
                        .map_err(|_| wrong(format!("a length of {length}")))?;
                    self.begin(kind, length)?;
                    return Ok(Some(None));
                }
            },
        };
        Ok(Some(Some(value)))
    }

    fn begin(&mut self, kind: u8, length: usize) -> Result<(), Failure> {
        // Each value has three bytes at least; a string all that it says.
        if length > self.limit {
            return Err(crate::protocol::tcp::too_long());
        }
        if kind == b'$' {
            self.string = Some(length);
        } else if self.open.len() == DEEPEST {
            return Err(wrong(format!("lists within lists, more than {DEEPEST} of them")));
        } else {
            self.open.push((Vec::new(), length));
        }
        Ok(())
    }
}

fn number(text: &[u8]) -> Result<i64, Failure> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| wrong(format!("{:?} is no number", String::from_utf8_lossy(text))))
}

impl Value {
    /// As a body that checks and extraction look at: strings as they are, nil as nothing, the
    /// rest as JSON.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        match self {
            Self::Simple(text) | Self::Bulk(text) => text,
            Self::Error(text) => text.into_bytes(),
            Self::Nil => Vec::new(),
            Self::Integer(number) => number.to_string().into_bytes(),
            list => list.into_json().to_string().into_bytes(),
        }
    }

    fn into_json(self) -> serde_json::Value {
        match self {
            Self::Simple(text) | Self::Bulk(text) => String::from_utf8_lossy(&text).into(),
            Self::Error(text) => text.into(),
            Self::Nil => serde_json::Value::Null,
            Self::Integer(number) => number.into(),
            Self::Array(items) => items.into_iter().map(Self::into_json).collect(),
        }
    }

    /// What kind of answer it is, for checks.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Simple(_) => "status",
            Self::Error(_) => "error",
            Self::Integer(_) => "integer",
            Self::Bulk(_) => "string",
            Self::Nil => "nil",
            Self::Array(_) => "list",
        }
    }

    /// The first error in it.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Error(text) => Some(text),
            // What EXEC answers holds the answers of the commands in it.
            Self::Array(items) => items.iter().find_map(Self::error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &[u8]) -> Result<Vec<Value>, Failure> {
        let mut first = None;
        for size in [text.len().max(1), 1, 3] {
            let (mut decoder, mut input) = (Decoder::new(1 << 20), BytesMut::new());
            let mut all = || {
                let mut values = Vec::new();
                for piece in text.chunks(size) {
                    input.extend_from_slice(piece);
                    while let Some(value) = decoder.next(&mut input)? {
                        values.push(value);
                    }
                }
                Ok(values)
            };
            let values: Result<Vec<Value>, Failure> = all();
            let expected = first.get_or_insert_with(|| values.clone());
            assert_eq!(&values, expected, "in pieces of {size}");
        }
        first.unwrap()
    }

    #[test]
    fn each_kind_of_answer() {
        let text = b"+OK\r\n:-7\r\n$5\r\na\r\nbc\r\n$-1\r\n*-1\r\n$0\r\n\r\n*0\r\n-ERR no\r\n\
                     *3\r\n:1\r\n*2\r\n$1\r\nx\r\n$-1\r\n+y\r\n:9\r\n$4\r\nhalf";
        let string = |text: &str| Value::Bulk(text.into());
        let expected = vec![
            Value::Simple(b"OK".to_vec()),
            Value::Integer(-7),
            string("a\r\nbc"),
            Value::Nil,
            Value::Nil,
            string(""),
            Value::Array(vec![]),
            Value::Error("ERR no".into()),
            Value::Array(vec![
                Value::Integer(1),
                Value::Array(vec![string("x"), Value::Nil]),
                Value::Simple(b"y".to_vec()),
            ]),
            Value::Integer(9),
        ];
        let found = decode(text).unwrap();
        assert_eq!(found, expected);
        assert_eq!(found[8].clone().into_body(), br#"[1,["x",null],"y"]"#);
        assert_eq!(found[3].clone().into_body(), b"");
        assert_eq!(Value::Array(expected).error(), Some("ERR no"));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for (text, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "'H' begins no answer of Redis"),
            (b"$3\r\nabcd\r\n", "a string is longer than the 3 bytes it says"),
            (b":x\r\n", "\"x\" is no number"),
            (b"$-2\r\n", "a length of -2"),
            (b"\r\n", "'\\r' begins no answer of Redis"),
        ] {
            let failure = decode(text).unwrap_err();
            assert_eq!((failure.kind, failure.detail.as_str()), (ErrorKind::Protocol, expected));
        }
        let deep = b"*1\r\n".repeat(100_000);
        assert_eq!(decode(&deep).unwrap_err().kind, ErrorKind::Protocol);
        assert_eq!(decode(b"$9999999\r\n").unwrap_err().kind, ErrorKind::Check, "beyond the limit");
        assert_eq!(decode(b"*999999999\r\n").unwrap_err().kind, ErrorKind::Check);
        let endless = vec![b'+'; LONGEST_LINE + 1];
        assert_eq!(decode(&endless).unwrap_err().kind, ErrorKind::Protocol);
    }
}
