//! Answers, whole and in pieces, right and wrong.

use super::*;

#[derive(Default)]
struct Collect(Vec<u8>);

impl Sink for Collect {
    fn body(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// Feeds `text` in pieces of `size` bytes, then closes if it is not complete.
fn read(text: &[u8], size: usize, head_only: bool) -> Result<(u16, Vec<u8>, bool), Failure> {
    let (mut parser, mut body) = (Parser::new(head_only, true), Collect::default());
    let mut progress = Progress::More;
    for piece in text.chunks(size) {
        progress = parser.feed(piece, &mut body)?;
    }
    if progress == Progress::More {
        parser.closed()?;
    }
    Ok((parser.status(), body.0, parser.keeps_alive()))
}

fn read_all(text: &str, head_only: bool) -> Result<(u16, String, bool), Failure> {
    let whole = read(text.as_bytes(), text.len(), head_only);
    for size in [1, 2, 3, 7] {
        let pieces = read(text.as_bytes(), size, head_only);
        // Wording may depend on what came with what; what it is may not.
        assert_eq!(
            pieces.as_ref().map_err(|e| e.kind),
            whole.as_ref().map_err(|e| e.kind),
            "in pieces of {size}: {text:?}"
        );
    }
    whole.map(|(status, body, alive)| (status, String::from_utf8(body).unwrap(), alive))
}

#[test]
fn bodies_end_where_the_head_says() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", (200, "hello", true)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close\r\n\r\n", (200, "", false)),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 2, 2\r\n\r\nno", (404, "no", true)),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", (204, "", true)),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", (304, "", true)),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", (200, "until the end", false)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", (200, "x", false)),
        (
            "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
            (200, "x", true),
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n\
             HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\ny",
            (201, "y", true),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n6;ext=\"1\"\r\n world\r\n0\r\nTrailer: x\r\n\r\n",
            (200, "hello world", true),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n\
             1\r\nx\r\n0\r\n\r\n",
            (200, "x", false),
        ),
    ];
    for (text, (status, body, alive)) in cases {
        assert_eq!(read_all(text, false).unwrap(), (status, body.to_owned(), alive), "{text:?}");
    }
}

#[test]
fn an_answer_to_head_has_no_body() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
    assert_eq!(read_all(text, true).unwrap(), (200, String::new(), true));
}

#[test]
fn lies_and_mistakes_are_found() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", ErrorKind::Truncated),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", ErrorKind::Truncated),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            ErrorKind::Truncated,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Le", ErrorKind::Truncated),
        ("", ErrorKind::Reset),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", ErrorKind::Protocol),
        ("HTTP/1.1 204 No Content\r\n\r\nhello", ErrorKind::Protocol),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhey",
            ErrorKind::Protocol,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhe", ErrorKind::Protocol),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", ErrorKind::Protocol),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
            ErrorKind::Protocol,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ErrorKind::Protocol),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", ErrorKind::Protocol),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            ErrorKind::Protocol,
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", ErrorKind::Protocol),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", ErrorKind::Protocol),
    ];
    for (text, kind) in cases {
        assert_eq!(read_all_or_empty(text).unwrap_err(), kind, "{text:?}");
    }
}

fn read_all_or_empty(text: &str) -> Result<(), ErrorKind> {
    if text.is_empty() {
        return Parser::new(false, false).closed().map_err(|e| e.kind);
    }
    read_all(text, false).map(drop).map_err(|e| e.kind)
}

#[test]
fn a_head_without_end_is_refused() {
    let (mut parser, mut body) = (Parser::new(false, false), Collect::default());
    parser.feed(b"HTTP/1.1 200 OK\r\nx: ", &mut body).unwrap();
    let more = vec![b'y'; 1 << 16];
    let refused = (0..10).find_map(|_| parser.feed(&more, &mut body).err());
    assert_eq!(refused.unwrap().kind, ErrorKind::Protocol);
}

#[test]
fn the_head_is_kept_when_wanted() {
    let text = b"HTTP/1.1 200 OK\r\nX-Token: abc\r\nContent-Length: 0\r\n\r\n";
    let (mut parser, mut body) = (Parser::new(false, true), Collect::default());
    for byte in text.chunks(5) {
        parser.feed(byte, &mut body).unwrap();
    }
    crate::protocol::http1::with_headers(parser.head_bytes(), |headers| {
        assert_eq!(headers[0], ("X-Token", b"abc".as_slice()));
    });
}
