//! The head of an answer: status, and where its body ends (RFC 9112 §6.3).

use std::mem::MaybeUninit;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Response, Status};

use crate::measure::{ErrorKind, Failure};

/// Most headers of an answer.
const MOST_HEADERS: usize = 128;

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// What the head of an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// 200, 404, …
    pub status: u16,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection stays open.
    pub keep_alive: bool,
}

fn protocol(text: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::Protocol, text)
}

/// Reads a head at the start of `bytes`; also returns its length. `None`: there is more to come.
///
/// # Errors
/// What is against the protocol.
pub fn parse_head(bytes: &[u8], head_only: bool) -> Result<Option<(Head, usize)>, Failure> {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; MOST_HEADERS];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, bytes, &mut headers)
        .map_err(|e| protocol(format!("the answer's head: {e}: {}", excerpt(bytes))))?;
    let Status::Complete(length) = parsed else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let mut keep_alive = response.version == Some(1);
    let (mut content_length, mut chunked, mut coded) = (None, false, false);
    for header in response.headers.iter() {
        // Few names have these lengths, so that most headers are passed over at once.
        match header.name.len() {
            10 if header.name.eq_ignore_ascii_case("connection") => {
                for option in words(header.value) {
                    if option.eq_ignore_ascii_case(b"close") {
                        keep_alive = false;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") {
                        keep_alive = true;
                    }
                }
            }
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                for word in words(header.value) {
                    let length = decimal(word).ok_or_else(|| {
                        protocol(format!("content-length: {}", excerpt(header.value)))
                    })?;
                    if content_length.is_some_and(|other| other != length) {
                        return Err(protocol("two lengths that contradict each other"));
                    }
                    content_length = Some(length);
                }
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                coded = true;
                let last = words(header.value).last();
                chunked = last.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
            }
            _ => {}
        }
    }
    let framing = if head_only || status == 204 || status == 304 || status < 200 {
        Framing::None
    } else if chunked {
        // A length beside it is an attack or a mistake: chunks count, the connection is not kept.
        keep_alive &= content_length.is_none();
        Framing::Chunked
    } else if coded {
        keep_alive = false;
        Framing::UntilClose
    } else if let Some(length) = content_length {
        Framing::Length(length)
    } else {
        keep_alive = false;
        Framing::UntilClose
    };
    Ok(Some((Head { status, framing, keep_alive }, length)))
}

/// Calls `take` with the headers of a head that [`parse_head`] has accepted.
pub fn with_headers<R>(bytes: &[u8], take: impl FnOnce(&[(&str, &[u8])]) -> R) -> R {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut response = Response::new(&mut headers);
    // It was accepted before; of another one there would be no headers.
    let _accepted = response.parse(bytes);
    let named = response.headers.iter().filter(|header| !header.name.is_empty());
    let list: Vec<_> = named.map(|header| (header.name, header.value)).collect();
    take(&list)
}

/// The members of a list (RFC 9110 §5.6.1), without white space around them.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|word| !word.is_empty())
}

fn decimal(word: &[u8]) -> Option<u64> {
    // No sign, no white space: `str::parse` would take a plus.
    word.iter().all(u8::is_ascii_digit).then_some(())?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The start of `bytes`, for a message.
fn excerpt(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(40)];
    format!("{:?}", String::from_utf8_lossy(start))
}
