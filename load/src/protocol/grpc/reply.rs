//! An answer: messages, then trailers with the status.

use bytes::Bytes;
use http::{HeaderMap, Request};

use super::{Messages, status};
use crate::{
    measure::{ErrorKind, Failure},
    protocol::http2,
};

const STATUS: &str = "grpc-status";

/// What is known of an answer besides its messages.
#[derive(Debug)]
pub struct Reply {
    /// The status as [`status`] counts it; that of HTTP where something on the way answered that
    /// speaks no gRPC.
    pub status: u16,
    /// What the server says about it.
    pub message: String,
    /// What came before the messages.
    pub headers: HeaderMap,
    /// What came after them.
    pub trailers: HeaderMap,
    /// When the head came.
    pub first_byte: u64,
    /// When the trailers did.
    pub end: u64,
}

/// Sends a request and takes the answer; `now` is asked when something has arrived.
///
/// # Errors
/// The connection or the stream broke, or what came is no gRPC.
pub async fn exchange(
    connection: &http2::Connection,
    head: Request<()>,
    body: Bytes,
    messages: &mut Messages,
    now: impl Fn() -> u64,
) -> Result<Reply, Failure> {
    let mut incoming = connection.start(head, body).await?;
    let first_byte = now();
    let mut end = first_byte;
    // A status in the head is an answer without messages ("Trailers-Only").
    let (mut code, http) = (code(&incoming.headers)?, incoming.status);
    if code.is_none() && http != 200 {
        let headers = std::mem::take(&mut incoming.headers);
        let message = "an answer of HTTP, without a status of gRPC".to_owned();
        let trailers = HeaderMap::new();
        return Ok(Reply { status: http, message, headers, trailers, first_byte, end });
    }
    is_grpc(&incoming.headers)?;
    let mut trailers = HeaderMap::new();
    // After a status in the head nothing follows but, from some servers, RST_STREAM(NO_ERROR).
    if code.is_none() {
        while let Some(data) = incoming.data().await? {
            end = now();
            messages.take(data, end)?;
        }
        trailers = incoming.trailers().await?.unwrap_or_default();
        end = now();
        code = self::code(&trailers)?;
    }
    let Some(code) = code else {
        let text = "the answer ended without its status (no trailers)";
        return Err(Failure::new(ErrorKind::Truncated, text));
    };
    let headers = std::mem::take(&mut incoming.headers);
    let message = [&trailers, &headers].into_iter().find_map(|map| map.get("grpc-message"));
    let message = message.map_or_else(String::new, |text| decoded(text.as_bytes()));
    Ok(Reply { status: status::of_code(code), message, headers, trailers, first_byte, end })
}

/// The code in `headers`, if there is one.
fn code(headers: &HeaderMap) -> Result<Option<u32>, Failure> {
    let Some(value) = headers.get(STATUS) else { return Ok(None) };
    let code = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || Failure::new(ErrorKind::Protocol, format!("{STATUS} is {value:?}, no number"));
    code.map(Some).ok_or_else(wrong)
}

fn is_grpc(headers: &HeaderMap) -> Result<(), Failure> {
    let kind = headers.get(http::header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let rest = kind.strip_prefix(b"application/grpc");
    if rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';'))) {
        return Ok(());
    }
    let kind = String::from_utf8_lossy(kind);
    let text = format!("the answer is {kind:?}, not application/grpc");
    Err(Failure::new(ErrorKind::Protocol, text))
}

/// `%E2%9C%93` as text; what is no such escape stays as it is.
fn decoded(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| byte == b'%');
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Reply {
    /// The status and what the server says about it.
    #[must_use]
    pub fn text(&self) -> String {
        let status = status::text(self.status);
        let http = if self.status < 1000 { "HTTP status " } else { "" };
        match self.message.as_str() {
            "" => format!("{http}{status}"),
            message => format!("{http}{status}: {message}"),
        }
    }

    /// Whether the messages are as many as there have to be: one, unless it is a stream.
    ///
    /// # Errors
    /// How many there are.
    pub fn is_complete(&self, messages: &Messages, streaming: bool) -> Result<(), Failure> {
        if self.status != status::OK {
            return Ok(());
        }
        if messages.is_cut() {
            let text = "the answer ended within a message";
            return Err(Failure::new(ErrorKind::Truncated, text));
        }
        match messages.count() {
            1 => Ok(()),
            _ if streaming => Ok(()),
            count => {
                let text = format!("{count} messages in the answer to a unary call");
                Err(Failure::new(ErrorKind::Protocol, text))
            }
        }
    }

    /// Names and values of headers and trailers.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let all = self.headers.iter().chain(&self.trailers);
        all.map(|(name, value)| (name.as_str(), value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_statuses_are_decoded() {
        assert_eq!(decoded(b"caf%C3%A9 100%25 50% %zz"), "caf\u{e9} 100% 50% %zz");
    }

    #[test]
    fn only_grpc_is_taken_for_it() {
        let kind = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", http::HeaderValue::from_static(text));
            is_grpc(&headers).is_ok()
        };
        assert!(kind("application/grpc") && kind("application/grpc+proto"));
        assert!(!kind("application/grpc-web") && !kind("text/html"));
        assert!(is_grpc(&HeaderMap::new()).is_err());
    }
}
