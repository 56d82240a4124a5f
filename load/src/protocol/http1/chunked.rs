//! The chunked transfer coding (RFC 9112 §7.1).

use super::parse::Sink;
use crate::measure::{ErrorKind, Failure};

/// Longest line of a chunk's size, extensions included, and longest trailer, in bytes.
const LONGEST_LINE: usize = 16 * 1024;

/// A chunked body on its way.
#[derive(Debug, Default)]
pub struct Chunked {
    state: State,
    /// Bytes of the current line, for its bound.
    line: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Digits of the size: the value so far, and whether there was one.
    Size {
        value: u64,
        digits: bool,
    },
    /// Between the size and the end of its line.
    Extension {
        value: u64,
    },
    /// The line feed after a size.
    SizeEnd {
        value: u64,
    },
    /// Bytes of the chunk.
    Data {
        left: u64,
    },
    /// The line end after a chunk.
    DataReturn,
    DataFeed,
    /// Start of a trailer line, or the end.
    Trailer,
    /// In a trailer line.
    TrailerLine,
    /// The line feed that ends the body.
    End,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { value: 0, digits: false }
    }
}

fn wrong(text: &str) -> Failure {
    Failure::new(ErrorKind::Protocol, text)
}

impl Chunked {
    /// Takes what has arrived; returns how much of it belonged to the body, and whether that is
    /// complete.
    ///
    /// # Errors
    /// What is against the coding.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(usize, bool), Failure> {
        let mut at = 0;
        while at < bytes.len() {
            if let State::Data { left } = self.state {
                let rest = &bytes[at..];
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                sink.body(&rest[..take]);
                at += take;
                let left = left - take as u64;
                self.state = if left > 0 { State::Data { left } } else { State::DataReturn };
                continue;
            }
            let byte = bytes[at];
            at += 1;
            self.line += 1;
            if self.line > LONGEST_LINE {
                return Err(wrong("a chunk's size line or trailer that is too long"));
            }
            match self.step(byte)? {
                Some(next) => self.state = next,
                None => return Ok((at, true)),
            }
        }
        Ok((at, false))
    }

    /// The state after `byte`; `None`: the body is complete.
    fn step(&mut self, byte: u8) -> Result<Option<State>, Failure> {
        Ok(Some(match (self.state, byte) {
            (State::Size { value, .. }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = u64::from(char::from(byte).to_digit(16).unwrap_or_default());
                if value >> 60 != 0 {
                    return Err(wrong("a chunk's size that is too large"));
                }
                State::Size { value: value << 4 | digit, digits: true }
            }
            (State::Size { value, digits: true }, b'\r') => State::SizeEnd { value },
            (State::Size { value, digits: true }, b';' | b' ' | b'\t') => {
                State::Extension { value }
            }
            (State::Extension { value }, b'\r') => State::SizeEnd { value },
            (State::Extension { value }, _) if byte != b'\n' => State::Extension { value },
            (State::SizeEnd { value }, b'\n') => {
                self.line = 0;
                if value == 0 { State::Trailer } else { State::Data { left: value } }
            }
            (State::DataReturn, b'\r') => State::DataFeed,
            (State::DataFeed, b'\n') => {
                self.line = 0;
                State::default()
            }
            (State::Trailer, b'\r') => State::End,
            (State::TrailerLine, b'\n') => State::Trailer,
            (State::Trailer | State::TrailerLine, _) => State::TrailerLine,
            (State::End, b'\n') => return Ok(None),
            (State::DataReturn | State::DataFeed, _) => {
                return Err(wrong("a chunk that is longer than it says"));
            }
            _ => return Err(wrong("a chunk without a proper size")),
        }))
    }
}
