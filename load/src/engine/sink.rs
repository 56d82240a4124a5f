//! What is done with the body of an answer: counted, kept, cut into events.

use crate::{plan::Streaming, protocol::http1::Sink};

/// Most events of one answer whose times are kept, so that an endless stream does not eat memory.
const MOST_EVENTS: usize = 100_000;

/// Takes a body.
#[derive(Debug, Default)]
pub struct BodySink {
    /// The body and how long it may get, if it is kept.
    kept: Option<(Vec<u8>, usize)>,
    overflowed: bool,
    stream: Option<Box<Events>>,
}

/// Events of a streamed answer.
#[derive(Debug)]
struct Events {
    how: Streaming,
    /// When what is being taken has arrived.
    now: u64,
    /// Times of events.
    times: Vec<u64>,
    /// The line that is being taken: what it begins with.
    line: Vec<u8>,
    /// The current block has data that counts.
    has_data: bool,
}

impl BodySink {
    /// Keeps a body of up to `keep` bytes; cuts it as `streaming` says.
    #[must_use]
    pub fn new(keep: Option<usize>, streaming: Option<Streaming>) -> Self {
        let events = |how| {
            let (times, line) = (Vec::new(), Vec::new());
            Box::new(Events { how, now: 0, times, line, has_data: false })
        };
        Self {
            kept: keep.map(|limit| (Vec::new(), limit)),
            overflowed: false,
            stream: streaming.map(events),
        }
    }

    /// What comes next arrived at `now`.
    pub fn arrived(&mut self, now: u64) {
        if let Some(stream) = &mut self.stream {
            stream.now = now;
        }
    }

    /// The body is complete: times of its events, if it was to be cut.
    pub fn finish(&mut self) -> Option<&[u64]> {
        self.stream.as_deref().map(|stream| stream.times.as_slice())
    }

    /// Whether the body was longer than what is kept.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// The body, if it was kept.
    #[must_use]
    pub fn kept(&self) -> &[u8] {
        self.kept.as_ref().map_or(&[], |(body, _)| body)
    }
}

impl Sink for BodySink {
    fn body(&mut self, bytes: &[u8]) {
        if let Some((body, limit)) = &mut self.kept {
            let fits = bytes.len().min(*limit - body.len());
            body.extend_from_slice(&bytes[..fits]);
            self.overflowed |= fits < bytes.len();
        }
        if let Some(stream) = &mut self.stream {
            match stream.how {
                Streaming::Chunks => stream.event(),
                Streaming::ServerSentEvents => stream.take(bytes),
            }
        }
    }
}

impl Events {
    fn event(&mut self) {
        if self.times.len() < MOST_EVENTS {
            self.times.push(self.now);
        }
    }

    fn block_ended(&mut self) {
        if std::mem::take(&mut self.has_data) {
            self.event();
        }
    }

    /// Server-sent events: blocks of lines with an empty one after each. One that has data is an
    /// event, apart from the `[DONE]` with which inference servers end.
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\r' => {}
                b'\n' if self.line.is_empty() => self.block_ended(),
                b'\n' => {
                    let data = self.line.strip_prefix(b"data:");
                    self.has_data |= data.is_some_and(|data| data.trim_ascii() != b"[DONE]");
                    self.line.clear();
                }
                // Enough to tell what it is.
                _ if self.line.len() < 32 => self.line.push(byte),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_blocks_with_data_however_they_arrive() {
        let text = ": hello\n\ndata: {\"a\":1}\n\nevent: x\r\ndata: 2\r\ndata: 3\r\n\r\nid: 4\n\n\
                    data: [DONE]\n\n";
        for size in [1, 3, 1000] {
            let mut sink = BodySink::new(Some(10), Some(Streaming::ServerSentEvents));
            for (at, piece) in text.as_bytes().chunks(size).enumerate() {
                sink.arrived(at as u64);
                Sink::body(&mut sink, piece);
            }
            assert_eq!(sink.finish().unwrap().len(), 2, "in pieces of {size}");
            assert!(sink.overflowed());
            assert_eq!(sink.kept(), b": hello\n\nd");
        }
    }

    #[test]
    fn pieces_are_events_too() {
        let mut sink = BodySink::new(None, Some(Streaming::Chunks));
        sink.arrived(7);
        Sink::body(&mut sink, b"x");
        sink.arrived(9);
        Sink::body(&mut sink, b"y");
        assert_eq!(sink.finish(), Some([7, 9].as_slice()));
        assert!(!sink.overflowed() && sink.kept().is_empty());
    }
}
