//! A connection whose bytes are counted and timed, for protocols whose answers are cut out of what
//! has come so far.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::BytesMut;
use tokio::io::ReadBuf;

use super::net::Stream;
use crate::measure::{ErrorKind, Failure};

/// Bytes that are read at once.
const READ: usize = 64 * 1024;

/// Most that is read while something large is still being sent; what comes beyond it waits.
const AHEAD: usize = 16 << 20;

thread_local! {
    /// What is read is copied at once, so all connections of a thread share a buffer.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// Bytes that went each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Written.
    pub sent: u64,
    /// Read.
    pub received: u64,
}

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    /// What has come and was not used yet.
    pub input: BytesMut,
    /// What went over all connections of its user, until that is recorded: what is cut off by a
    /// time-out counts as well.
    moved: Rc<Cell<Moved>>,
    /// When the first byte of an answer was read, and the last one.
    heard: Option<(u64, u64)>,
    closed: bool,
    /// How many are open.
    open: Rc<Cell<u64>>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
    }
}

/// Tells the time, on the clock of the run.
pub type Now<'a> = &'a dyn Fn() -> u64;

impl Wire {
    /// One that has carried nothing yet; counts in `open` while it lives, and what goes over it in
    /// `moved`.
    #[must_use]
    pub fn new(stream: Stream, open: &Rc<Cell<u64>>, moved: &Rc<Cell<Moved>>) -> Self {
        open.set(open.get() + 1);
        Self {
            stream,
            input: BytesMut::new(),
            moved: Rc::clone(moved),
            heard: None,
            closed: false,
            open: Rc::clone(open),
        }
    }

    fn count(&self, sent: usize, received: usize) {
        let moved = self.moved.get();
        self.moved.set(Moved {
            sent: moved.sent + sent as u64,
            received: moved.received + received as u64,
        });
    }

    /// When the first and the last byte were read since [`Self::send`] was called; `None`: not one
    /// has come.
    #[must_use]
    pub fn heard(&self) -> Option<(u64, u64)> {
        self.heard
    }

    /// Whether the other side has kept a connection open that is not in use. What it said
    /// meanwhile is in [`Self::input`].
    pub async fn is_open(&mut self, now: Now<'_>) -> bool {
        poll_fn(|cx| {
            while self.input.len() < AHEAD {
                match self.poll_fill(cx, now) {
                    Poll::Pending => return Poll::Ready(true),
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(false),
                    Poll::Ready(Ok(_)) => {}
                }
            }
            Poll::Ready(true)
        })
        .await
    }

    /// Sends a request. Reads meanwhile, since a server that answers as it goes may take no more
    /// before its answers are taken. An other side that closes early has not failed the request
    /// yet: its answer may be there.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, request: &[u8], now: Now<'_>) -> Result<(), Failure> {
        self.heard = None;
        let mut written = 0;
        let done = poll_fn(|cx| {
            while written < request.len() {
                match self.stream.poll_write(cx, &request[written..]) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    Poll::Ready(Ok(n)) => {
                        written += n;
                        self.count(n, 0);
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending if self.closed || self.input.len() >= AHEAD => {
                        return Poll::Pending;
                    }
                    Poll::Pending => match self.poll_fill(cx, now) {
                        Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Pending => return Poll::Pending,
                    },
                }
            }
            self.stream.poll_flush(cx)
        })
        .await;
        match done {
            Err(e) if !matches!(e.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)) => {
                Err(Failure::broken(&e))
            }
            _ => Ok(()),
        }
    }

    /// Reads what comes next into [`Self::input`]; 0: the other side has closed.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn fill(&mut self, now: Now<'_>) -> Result<usize, Failure> {
        poll_fn(|cx| self.poll_fill(cx, now)).await.map_err(|e| Failure::broken(&e))
    }

    /// The same where a close is a failure.
    ///
    /// # Errors
    /// The connection broke, or was closed before the answer was complete.
    pub async fn fill_some(&mut self, now: Now<'_>) -> Result<(), Failure> {
        match self.fill(now).await? {
            0 => Err(self.closed_early()),
            _ => Ok(()),
        }
    }

    /// What it is when the other side closes before an answer is complete.
    #[must_use]
    pub fn closed_early(&self) -> Failure {
        if self.heard.is_none() && self.input.is_empty() {
            return Failure::new(ErrorKind::Reset, "closed before a byte of the answer");
        }
        Failure::new(ErrorKind::Truncated, "closed in the middle of an answer")
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, now: Now<'_>) -> Poll<io::Result<usize>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            let polled = match self.stream.poll_read(cx, &mut read) {
                Poll::Pending => return Poll::Pending,
                // TLS that ends without saying so.
                Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
                Poll::Ready(polled) => polled,
            };
            let bytes = read.filled();
            if polled.is_ok() && bytes.is_empty() {
                self.closed = true;
            }
            if !bytes.is_empty() {
                let time = now();
                self.heard = Some((self.heard.map_or(time, |(first, _)| first), time));
                self.count(0, bytes.len());
                self.input.extend_from_slice(bytes);
            }
            Poll::Ready(polled.map(|()| bytes.len()))
        })
    }
}
