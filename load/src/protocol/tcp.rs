//! Answers over plain connections, of which nothing is known but what ends them.

use bytes::{Buf, BytesMut};
use memchr::memmem;

use super::wire::{Now, Wire};
use crate::{
    measure::{ErrorKind, Failure},
    plan::AnswerEnd,
};

/// Cuts one answer out of what comes.
#[derive(Debug)]
struct Scan<'a> {
    end: &'a AnswerEnd,
    /// Most bytes that are kept.
    limit: usize,
    /// The answer is looked at.
    keep: bool,
    /// The input is known not to have the end before this.
    searched: usize,
    /// What is still to come of an answer whose length is known.
    left: Option<usize>,
    body: Vec<u8>,
}

/// Reads one answer: the whole of it if it is to be kept, up to `limit` bytes.
///
/// # Errors
/// The connection broke or was closed early, or the answer is longer than what is kept.
pub async fn receive(
    wire: &mut Wire,
    end: &AnswerEnd,
    limit: usize,
    keep: bool,
    now: Now<'_>,
) -> Result<Vec<u8>, Failure> {
    let mut scan = Scan::new(end, limit, keep);
    loop {
        if scan.is_complete(&mut wire.input)? {
            return Ok(scan.body);
        }
        if wire.fill(now).await? > 0 {
            continue;
        }
        return match end {
            AnswerEnd::Close => Ok(scan.body),
            _ if scan.body.is_empty() && scan.left.is_none() => Err(wire.closed_early()),
            _ => Err(Failure::new(ErrorKind::Truncated, "closed in the middle of an answer")),
        };
    }
}

impl<'a> Scan<'a> {
    fn new(end: &'a AnswerEnd, limit: usize, keep: bool) -> Self {
        let left = match end {
            AnswerEnd::Length(length) => Some(*length),
            _ => None,
        };
        Self { end, limit, keep, searched: 0, left, body: Vec::new() }
    }

    /// Takes what belongs to the answer out of `input`; returns whether it has ended.
    fn is_complete(&mut self, input: &mut BytesMut) -> Result<bool, Failure> {
        match self.end {
            AnswerEnd::NoAnswer => Ok(true),
            AnswerEnd::Close => {
                let all = input.split();
                self.take(&all)?;
                Ok(false)
            }
            AnswerEnd::Length(_) => self.rest(input),
            AnswerEnd::Prefix(size) => {
                if self.left.is_none() {
                    let size = usize::from(*size);
                    if input.len() < size {
                        return Ok(false);
                    }
                    let length = input.get_uint(size);
                    self.left = Some(usize::try_from(length).unwrap_or(usize::MAX));
                }
                self.rest(input)
            }
            AnswerEnd::Text(text) => {
                let from = self.searched.saturating_sub(text.len() - 1);
                if let Some(at) = memmem::find(&input[from..], text) {
                    let body = input.split_to(from + at);
                    input.advance(text.len());
                    self.take(&body)?;
                    return Ok(true);
                }
                self.searched = input.len();
                // What cannot be part of the end is not needed any more, or is all there is to
                // know of an answer that is too long.
                let settled = input.len().saturating_sub(text.len() - 1);
                let settled = input.split_to(settled);
                self.searched -= settled.len();
                self.take(&settled)?;
                Ok(false)
            }
            AnswerEnd::Match(regex) => {
                if let Some(found) = regex.find(input) {
                    let body = input.split_to(found.end());
                    self.take(&body)?;
                    return Ok(true);
                }
                // All of it is needed to tell where it ends.
                if input.len() > self.limit { Err(too_long()) } else { Ok(false) }
            }
        }
    }

    /// Takes what is there of an answer whose length is known.
    fn rest(&mut self, input: &mut BytesMut) -> Result<bool, Failure> {
        let left = self.left.unwrap_or(0);
        let part = input.split_to(left.min(input.len()));
        self.left = Some(left - part.len());
        self.take(&part)?;
        Ok(left == part.len())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if !self.keep {
            return Ok(());
        }
        if self.body.len() + bytes.len() > self.limit {
            return Err(too_long());
        }
        self.body.extend_from_slice(bytes);
        Ok(())
    }
}

/// An answer is longer than what is kept of one.
pub fn too_long() -> Failure {
    let text = "the answer is longer than what is kept for checks (limits.body)";
    Failure::new(ErrorKind::Check, text)
}

#[cfg(test)]
mod tests {
    use regex::bytes::Regex;

    use super::*;

    /// The answer and what is left, with the bytes coming in pieces of each size.
    fn cut(end: &AnswerEnd, text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let whole = |size: usize| {
            let mut scan = Scan::new(end, 1000, true);
            let (mut input, mut complete) = (BytesMut::new(), false);
            for piece in text.chunks(size) {
                input.extend_from_slice(piece);
                complete = complete || scan.is_complete(&mut input).unwrap();
            }
            complete.then(|| (scan.body, input.to_vec()))
        };
        let expected = whole(1000);
        for size in 1..7 {
            // What an expression finds first depends on what is there.
            if !matches!(end, AnswerEnd::Match(_)) {
                assert_eq!(whole(size), expected, "{end:?} in pieces of {size}");
            }
        }
        expected
    }

    fn pair(body: &str, rest: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        Some((body.as_bytes().to_vec(), rest.as_bytes().to_vec()))
    }

    #[test]
    fn each_end_is_found_wherever_the_bytes_are_cut() {
        let text = |text: &str| AnswerEnd::Text(text.into());
        assert_eq!(cut(&text("\r\n"), b"+PO\rNG\r\nmore"), pair("+PO\rNG", "more"));
        assert_eq!(cut(&text("aab"), b"aaaaab"), pair("aaa", ""));
        assert_eq!(cut(&text("END"), b"no end"), None);
        assert_eq!(cut(&AnswerEnd::Length(5), b"hello!"), pair("hello", "!"));
        assert_eq!(cut(&AnswerEnd::Length(5), b"hell"), None);
        assert_eq!(cut(&AnswerEnd::Length(0), b"x"), pair("", "x"));
        assert_eq!(cut(&AnswerEnd::Prefix(2), b"\0\x03abcd"), pair("abc", "d"));
        assert_eq!(cut(&AnswerEnd::Prefix(4), b"\0\0\0\x03ab"), None);
        assert_eq!(cut(&AnswerEnd::Prefix(1), b"\0"), pair("", ""));
        let end = AnswerEnd::Match(Regex::new("(OK|ERR) [^\n]*\n").unwrap());
        assert_eq!(cut(&end, b"a\nOK 1\nb"), pair("a\nOK 1\n", "b"));
        assert_eq!(cut(&AnswerEnd::Close, b"abc"), None);
    }

    #[test]
    fn what_is_not_looked_at_is_not_kept_and_what_is_too_long_is_told() {
        let end = AnswerEnd::Text(b"\n".to_vec());
        for (keep, fails) in [(false, false), (true, true)] {
            let mut scan = Scan::new(&end, 1 << 20, keep);
            let mut input = BytesMut::new();
            let mut failed = false;
            for _ in 0..100 {
                input.extend_from_slice(&[b'x'; 65536]);
                failed |= scan.is_complete(&mut input).is_err();
                assert!(input.len() < 2 && scan.body.len() <= 1 << 20);
            }
            assert_eq!(failed, fails);
        }
        // A length that no memory has.
        let mut input = BytesMut::from(&[0xff; 9][..]);
        let prefix = AnswerEnd::Prefix(8);
        assert_eq!(Scan::new(&prefix, 10, true).is_complete(&mut input), Ok(false));
    }
}
