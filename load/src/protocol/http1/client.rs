//! One connection that carries one request after the other.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    rc::Rc,
    task::Poll,
};

use tokio::io::ReadBuf;

use super::{Parser, Progress, Sink};
use crate::{
    measure::{ErrorKind, Failure},
    protocol::net::Stream,
};

/// Bytes that are read at once.
const READ: usize = 64 * 1024;

thread_local! {
    /// What is read is looked at at once, so all connections of a thread share a buffer.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    /// When the last answer was complete; `None`: it has carried no request.
    last_used: Option<u64>,
    /// How many are open.
    open: Rc<Cell<u64>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
    }
}

/// A request that failed, and how far it was.
#[derive(Debug)]
pub struct Broken {
    /// What happened.
    pub failure: Failure,
    /// Not a byte of the answer had been received.
    pub unanswered: bool,
}

/// When things happened to a request, on the clock that the caller gave.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// When the first byte of the answer was read.
    pub first_byte: u64,
    /// When the last one was.
    pub end: u64,
}

/// What one read found.
enum Got {
    Progress(Progress),
    Closed,
}

impl Connection {
    /// One that has carried no request yet; counts in `open` while it lives.
    #[must_use]
    pub fn new(stream: Stream, open: &Rc<Cell<u64>>) -> Self {
        open.set(open.get() + 1);
        Self { stream, last_used: None, open: Rc::clone(open) }
    }

    /// When its last answer was complete; `None`: it has carried no request.
    #[must_use]
    pub fn last_used(&self) -> Option<u64> {
        self.last_used
    }

    /// Whether the other side has kept a connection open that is not in use. Costs no system call
    /// when nothing has happened to it.
    ///
    /// # Errors
    /// Bytes have come that no request asked for.
    pub async fn is_open(&mut self) -> Result<bool, Failure> {
        poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut read = ReadBuf::new(buffer);
                Poll::Ready(match self.stream.poll_read(cx, &mut read) {
                    Poll::Pending => Ok(true),
                    Poll::Ready(Err(_)) => Ok(false),
                    Poll::Ready(Ok(())) if read.filled().is_empty() => Ok(false),
                    Poll::Ready(Ok(())) => {
                        let text = format!("{} bytes after an answer", read.filled().len());
                        Err(Failure::new(ErrorKind::Protocol, text))
                    }
                })
            })
        })
        .await
    }

    /// Writes `request`. If the other side answers before it has taken all of it, the rest is
    /// left out: returns how much was written.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, request: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        poll_fn(|cx| {
            while written < request.len() {
                match self.stream.poll_write(cx, &request[written..]) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    Poll::Ready(Ok(n)) => written += n,
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => {
                        // A server that refuses a large body answers and reads no further.
                        return if self.stream.has_input(cx) {
                            Poll::Ready(Ok(()))
                        } else {
                            Poll::Pending
                        };
                    }
                }
            }
            self.stream.poll_flush(cx)
        })
        .await?;
        Ok(written)
    }

    /// Reads one answer into `parser` and `sink`. `now` is asked after each read.
    ///
    /// # Errors
    /// The connection broke, or what came is not an answer.
    pub async fn receive<S: Sink>(
        &mut self,
        parser: &mut Parser,
        sink: &mut S,
        now: impl Fn() -> u64,
        arrived: impl Fn(&mut S, u64),
    ) -> Result<Times, Broken> {
        let mut first_byte = None;
        loop {
            let received = parser.received();
            let broken = |failure| Broken { failure, unanswered: received == 0 };
            let got = poll_fn(|cx| {
                BUFFER.with_borrow_mut(|buffer| {
                    let mut read = ReadBuf::new(buffer);
                    match self.stream.poll_read(cx, &mut read) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                            // TLS that ends without saying so.
                            Poll::Ready(Ok((Got::Closed, now())))
                        }
                        Poll::Ready(Err(e)) => Poll::Ready(Err(broken(Failure::broken(&e)))),
                        Poll::Ready(Ok(())) => {
                            let time = now();
                            let bytes = read.filled();
                            if bytes.is_empty() {
                                return Poll::Ready(Ok((Got::Closed, time)));
                            }
                            arrived(sink, time);
                            let fed = parser.feed(bytes, sink);
                            let got = fed.map(|progress| (Got::Progress(progress), time));
                            Poll::Ready(
                                got.map_err(|failure| Broken { failure, unanswered: false }),
                            )
                        }
                    }
                })
            })
            .await?;
            let (done, time) = match got {
                (Got::Progress(progress), time) => (progress == Progress::Done, time),
                (Got::Closed, time) => {
                    parser.closed().map_err(broken)?;
                    (true, time)
                }
            };
            let first = *first_byte.get_or_insert(time);
            if done {
                self.last_used = Some(time);
                return Ok(Times { first_byte: first, end: time });
            }
        }
    }
}
