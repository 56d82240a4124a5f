//! The event stream of the daemon.

use std::{collections::VecDeque, time::Duration};

use http_body_util::BodyExt;
use hyper::{Response, body::Incoming};

use super::{ClientError, decode, sse, transport::Transport};
use crate::Event;

/// Longer than any quiet time worth waiting for in one go.
const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// Events as they come; as an iterator it blocks until the next one.
#[derive(Debug)]
pub struct Events<'a> {
    transport: &'a Transport,
    response: Response<Incoming>,
    parser: sse::Parser,
    ready: VecDeque<String>,
    ended: bool,
}

/// What a bounded wait for an event brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// An event.
    Event(Box<Event>),
    /// Nothing within the time given.
    Quiet,
    /// The daemon ended the stream.
    End,
}

impl<'a> Events<'a> {
    pub(super) fn new(transport: &'a Transport, response: Response<Incoming>) -> Self {
        Self {
            transport,
            response,
            parser: sse::Parser::default(),
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// Waits at most `limit` for the next event.
    ///
    /// # Errors
    /// When the connection broke, or what came is not an event.
    pub fn next_within(&mut self, limit: Duration) -> Result<Next, ClientError> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return decode("/v1/events", data.as_bytes()).map(|e| Next::Event(Box::new(e)));
            }
            if self.ended {
                return Ok(Next::End);
            }
            // Waiting for a frame may be given up and taken up again: no byte is lost.
            let frame = match self.transport.within(limit, self.response.body_mut().frame()) {
                Err(_) => return Ok(Next::Quiet),
                Ok(None) => {
                    self.ended = true;
                    continue;
                }
                Ok(Some(frame)) => frame.map_err(|e| self.transport.closed(e))?,
            };
            let Some(bytes) = frame.data_ref() else { continue };
            let events = self.parser.feed(bytes).map_err(|sse::Oversized| {
                ClientError::Protocol("an event of /v1/events exceeds every bound".to_owned())
            })?;
            self.ready.extend(events);
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_within(A_DAY) {
                Ok(Next::Event(event)) => return Some(Ok(*event)),
                Ok(Next::Quiet) => {}
                Ok(Next::End) => return None,
                Err(e) => {
                    self.ended = true;
                    return Some(Err(e));
                }
            }
        }
    }
}
