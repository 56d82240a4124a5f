//! Server-sent events: bytes in, the `data` of each event out.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>
//! as far as the daemon uses it: the other fields repeat what the data says.

/// An event larger than this is not one of the daemon's.
const MAX_EVENT: usize = 1024 * 1024;

/// A stream that does not hold events of the daemon's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Oversized;

/// Collects lines until an event is whole.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    data: String,
    after_cr: bool,
}

impl Parser {
    /// Takes the next piece of the stream; returns the events that it completes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, Oversized> {
        let mut events = Vec::new();
        for &byte in bytes {
            let second_of_crlf = self.after_cr && byte == b'\n';
            self.after_cr = byte == b'\r';
            match byte {
                _ if second_of_crlf => {}
                b'\n' | b'\r' => events.extend(self.end_of_line()),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.data.len() > MAX_EVENT {
                return Err(Oversized);
            }
        }
        Ok(events)
    }

    fn end_of_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then_some(data);
        }
        let value = line.strip_prefix(b"data:")?;
        if !self.data.is_empty() {
            self.data.push('\n');
        }
        self.data.push_str(&String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value)));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_are_cut() {
        let stream = b": hello\n\nid: 1\nevent: active\ndata: {\"a\":1}\n\n\
                       data:one\r\ndata: two\r\n\r\nretry: 5\n\ndata: cut off";
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let events: Vec<String> =
                stream.chunks(size).flat_map(|chunk| parser.feed(chunk).unwrap()).collect();
            assert_eq!(events, ["{\"a\":1}", "one\ntwo"], "in pieces of {size}");
        }
    }

    #[test]
    fn a_stream_without_an_end_of_event_is_given_up() {
        let mut parser = Parser::default();
        let piece = [b'x'; 4096];
        let result = (0..=MAX_EVENT / piece.len()).try_for_each(|_| parser.feed(&piece).map(drop));
        assert_eq!(result, Err(Oversized));
    }
}
