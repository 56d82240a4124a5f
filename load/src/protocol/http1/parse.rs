//! Answers of HTTP/1.1 as they arrive (RFC 9112): a state machine that is fed bytes and does no
//! input or output.
//!
//! Strict where a mistake of the server would go unnoticed: lengths that contradict each other,
//! chunks that do not end where they say, bytes after the end.

use super::{
    chunked::Chunked,
    head::{Framing, Head, parse_head},
};
use crate::measure::{ErrorKind, Failure};

/// Longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 256 * 1024;

/// Takes the bytes of a body.
pub trait Sink {
    /// The next bytes of the body, in order.
    fn body(&mut self, bytes: &[u8]);
}

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    More,
    /// The answer is complete.
    Done,
}

#[derive(Debug)]
enum State {
    Head,
    Sized { left: u64, length: u64 },
    Chunked(Chunked),
    UntilClose,
    Done,
}

/// An answer on its way.
#[derive(Debug)]
pub struct Parser {
    state: State,
    /// Bytes of a head of which the rest is still to come.
    partial: Vec<u8>,
    /// Bytes of the head, where they are wanted.
    head_bytes: Option<Vec<u8>>,
    head: Option<Head>,
    /// The request was HEAD: there is no body, whatever the head says.
    head_only: bool,
    received: u64,
}

impl Parser {
    /// For the answer to a request (`head_only`: a HEAD request); keeps the bytes of the head if
    /// `keep_head`.
    #[must_use]
    pub fn new(head_only: bool, keep_head: bool) -> Self {
        Self {
            state: State::Head,
            partial: Vec::new(),
            head_bytes: keep_head.then(Vec::new),
            head: None,
            head_only,
            received: 0,
        }
    }

    /// Takes what has arrived.
    ///
    /// # Errors
    /// What is against the protocol; also bytes after the end of the answer, as no other request
    /// is under way. The answer's status, if it was read, is still there.
    pub fn feed(&mut self, mut bytes: &[u8], sink: &mut impl Sink) -> Result<Progress, Failure> {
        self.received += bytes.len() as u64;
        loop {
            match &mut self.state {
                State::Head => match self.head(bytes)? {
                    Some(used) => bytes = &bytes[used..],
                    None => return Ok(Progress::More),
                },
                State::Sized { left, .. } => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    sink.body(&bytes[..take]);
                    bytes = &bytes[take..];
                    *left -= take as u64;
                    if *left > 0 {
                        return Ok(Progress::More);
                    }
                    self.state = State::Done;
                }
                State::Chunked(chunked) => {
                    let (used, done) = chunked.feed(bytes, sink)?;
                    bytes = &bytes[used..];
                    if !done {
                        return Ok(Progress::More);
                    }
                    self.state = State::Done;
                }
                State::UntilClose => {
                    sink.body(bytes);
                    return Ok(Progress::More);
                }
                State::Done if bytes.is_empty() => return Ok(Progress::Done),
                State::Done => {
                    let text = format!("{} bytes after the end of the answer", bytes.len());
                    return Err(Failure::new(ErrorKind::Protocol, text));
                }
            }
        }
    }

    /// The connection was closed by the other side.
    ///
    /// # Errors
    /// If the answer was not complete: what of it was there.
    pub fn closed(&mut self) -> Result<(), Failure> {
        let text = match &self.state {
            State::UntilClose | State::Done => {
                self.state = State::Done;
                return Ok(());
            }
            State::Head if self.received == 0 => {
                let text = "closed before a byte of the answer";
                return Err(Failure::new(ErrorKind::Reset, text));
            }
            State::Head => "closed in the middle of the answer's head".to_owned(),
            State::Sized { left, length } => {
                format!("closed after {} of {length} bytes of the body", length - left)
            }
            State::Chunked(_) => "closed before the last chunk".to_owned(),
        };
        Err(Failure::new(ErrorKind::Truncated, text))
    }

    /// The status; 0 before it has arrived.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, |head| head.status)
    }

    /// Bytes that were fed.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether the connection can carry another request, once the answer is complete.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.keep_alive)
    }

    /// The connection cannot carry another request, whatever the answer says.
    pub fn forbid_reuse(&mut self) {
        if let Some(head) = &mut self.head {
            head.keep_alive = false;
        }
    }

    /// The bytes of the head, if they were to be kept.
    #[must_use]
    pub fn head_bytes(&self) -> &[u8] {
        self.head_bytes.as_deref().unwrap_or_default()
    }

    /// Reads the head, which may have come in pieces. Returns how much of `bytes` it was.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        let before = self.partial.len();
        let parsed = if before == 0 {
            parse_head(bytes, self.head_only)?
        } else {
            self.partial.extend_from_slice(bytes);
            parse_head(&self.partial, self.head_only)?
        };
        let Some((head, length)) = parsed else {
            if before == 0 {
                self.partial.extend_from_slice(bytes);
            }
            if self.partial.len() > LONGEST_HEAD {
                let text = format!("a head of more than {LONGEST_HEAD} bytes");
                return Err(Failure::new(ErrorKind::Protocol, text));
            }
            return Ok(None);
        };
        let used = length - before;
        // Interim answers (RFC 9110 §15.2) come before the answer proper; 101 would end HTTP.
        if !(100..200).contains(&head.status) {
            if let Some(kept) = &mut self.head_bytes {
                kept.extend_from_slice(if before == 0 {
                    &bytes[..length]
                } else {
                    &self.partial[..length]
                });
            }
            self.state = match head.framing {
                Framing::None => State::Done,
                Framing::Length(0) => State::Done,
                Framing::Length(length) => State::Sized { left: length, length },
                Framing::Chunked => State::Chunked(Chunked::default()),
                Framing::UntilClose => State::UntilClose,
            };
            self.head = Some(head);
        } else if head.status == 101 {
            let text = "101 Switching Protocols, which was not asked for";
            return Err(Failure::new(ErrorKind::Protocol, text));
        }
        self.partial.clear();
        Ok(Some(used))
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
