//! HTTP/2 (RFC 9113), by the h2 crate.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, Method, Request, Uri, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{greeting::Greeting, http1::Sink, net::Stream};
use crate::measure::{ErrorKind, Failure};

/// Window for each stream and for all together, in bytes: a large answer does not wait for leave
/// to go on.
const WINDOW: u32 = 4 << 20;

/// A connection that may carry several requests at once.
#[derive(Debug)]
pub struct Connection {
    send: SendRequest<Bytes>,
    state: Rc<State>,
}

/// What is known of a connection by whoever uses it.
#[derive(Debug, Default)]
struct State {
    /// Requests under way.
    active: Cell<u32>,
    /// It carries no further request.
    closed: Cell<bool>,
    /// Bytes written and read, and how much of that was told of.
    moved: Cell<(u64, u64)>,
    told: Cell<(u64, u64)>,
    /// What the server said first.
    greeting: RefCell<Greeting>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// 200, 404, …
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// When the head came.
    pub first_byte: u64,
    /// When the last byte did.
    pub end: u64,
}

/// Bytes of a connection, counted.
struct Counted {
    stream: Stream,
    state: Rc<State>,
}

/// A request under way.
#[derive(Debug)]
struct Active<'a>(&'a Cell<u32>);

impl<'a> Active<'a> {
    fn new(count: &'a Cell<u32>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Counts an open connection until its task has ended.
struct Open(Rc<Cell<u64>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Connection {
    /// Begins to speak HTTP/2 over `stream`; counts in `open` while it lives.
    ///
    /// # Errors
    /// The other side does not speak it.
    pub async fn new(stream: Stream, open: &Rc<Cell<u64>>) -> Result<Self, Failure> {
        if matches!(stream, Stream::Tls(_)) && !stream.speaks_http2() {
            let text = "the server did not agree to HTTP/2 in the TLS handshake";
            return Err(Failure::new(ErrorKind::Protocol, text));
        }
        let state = Rc::new(State::default());
        let counted = Counted { stream, state: Rc::clone(&state) };
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .enable_push(false)
            // What comes for requests that were given up is not the server's fault.
            .max_local_error_reset_streams(None)
            .handshake::<_, Bytes>(counted)
            .await
            .map_err(|e| failure(&e))?;
        open.set(open.get() + 1);
        let (opened, over) = (Open(Rc::clone(open)), Rc::clone(&state));
        tokio::task::spawn_local(async move {
            // Whoever has a request on it is told what happened; this only notes that it did.
            let _ended = connection.await;
            over.closed.set(true);
            drop(opened);
        });
        Ok(Self { send, state })
    }

    /// Whether it carries no further request.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        if self.state.closed.get() {
            return true;
        }
        // After GOAWAY what is under way still comes to its end: only h2 knows of it by then.
        let mut unwoken = Context::from_waker(Waker::noop());
        matches!(self.send.clone().poll_ready(&mut unwoken), Poll::Ready(Err(_)))
    }

    /// Whether it can carry one more request beside at most `most` others.
    #[must_use]
    pub fn has_room(&self, most: usize) -> bool {
        let most = most.min(self.send.current_max_send_streams());
        !self.state.closed.get() && (self.state.active.get() as usize) < most
    }

    /// Bytes written and read since the last call, by all requests together: HTTP/2 mixes them, so
    /// only the sum over all requests means something.
    #[must_use]
    pub fn take_moved(&self) -> (u64, u64) {
        let (now, told) = (self.state.moved.get(), self.state.told.replace(self.state.moved.get()));
        (now.0 - told.0, now.1 - told.1)
    }

    /// Sends a request and takes the answer; `now` is asked when something has arrived.
    ///
    /// # Errors
    /// The connection or the stream broke.
    pub async fn exchange<S: Sink>(
        &self,
        request: Request<()>,
        body: Bytes,
        sink: &mut S,
        now: impl Fn() -> u64,
        arrived: impl Fn(&mut S, u64),
    ) -> Result<Reply, Failure> {
        let mut incoming = self.start(request, body).await?;
        let first_byte = now();
        let mut end = first_byte;
        while let Some(data) = incoming.data().await? {
            end = now();
            arrived(sink, end);
            sink.body(&data);
        }
        incoming.trailers().await?;
        let Incoming { status, headers, .. } = incoming;
        Ok(Reply { status, headers, first_byte, end })
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// The connection or the stream broke.
    pub async fn start(&self, request: Request<()>, body: Bytes) -> Result<Incoming<'_>, Failure> {
        let active = Active::new(&self.state.active);
        let broken = |e: h2::Error| self.state.broken(&e);
        let mut send = self.send.clone().ready().await.map_err(broken)?;
        let (answer, mut stream) = send.send_request(request, body.is_empty()).map_err(broken)?;
        if !body.is_empty() {
            // h2 keeps what the window does not take yet.
            stream.send_data(body, true).map_err(broken)?;
        }
        let (head, body) = answer.await.map_err(broken)?.into_parts();
        let (status, headers) = (head.status.as_u16(), head.headers);
        Ok(Incoming { status, headers, body, state: &self.state, _active: active })
    }
}

/// An answer whose head has arrived. What is dropped before its end is cancelled (RST_STREAM).
#[derive(Debug)]
pub struct Incoming<'a> {
    /// 200, 404, …
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    body: RecvStream,
    state: &'a State,
    _active: Active<'a>,
}

impl Incoming<'_> {
    /// The next piece of the body; `None` after the last one.
    ///
    /// # Errors
    /// The connection or the stream broke.
    pub async fn data(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(data) = self.body.data().await else { return Ok(None) };
        let data = data.map_err(|e| self.state.broken(&e))?;
        let released = self.body.flow_control().release_capacity(data.len());
        released.map_err(|e| self.state.broken(&e))?;
        Ok(Some(data))
    }

    /// The headers after the body, if there are any.
    ///
    /// # Errors
    /// The connection or the stream broke.
    pub async fn trailers(&mut self) -> Result<Option<HeaderMap>, Failure> {
        self.body.trailers().await.map_err(|e| self.state.broken(&e))
    }
}

impl State {
    fn broken(&self, error: &h2::Error) -> Failure {
        if error.is_io() || error.is_go_away() {
            self.closed.set(true);
        }
        self.greeting.borrow().explain(failure(error))
    }
}

/// The head of a request.
///
/// # Errors
/// What HTTP/2 cannot carry.
pub fn head(
    method: &str,
    scheme: &str,
    authority: &str,
    path: &[u8],
    headers: &[(String, Vec<u8>)],
) -> Result<Request<()>, Failure> {
    let wrong = |e: http::Error| Failure::new(ErrorKind::Template, e.to_string());
    let method = Method::from_bytes(method.as_bytes()).map_err(|e| wrong(e.into()))?;
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
    let mut request =
        Request::builder().version(Version::HTTP_2).method(method).uri(uri.build().map_err(wrong)?);
    for (name, value) in headers {
        request = request.header(name.as_str(), value.as_slice());
    }
    request.body(()).map_err(wrong)
}

fn failure(error: &h2::Error) -> Failure {
    if let Some(io) = error.get_io() {
        return Failure::broken(io);
    }
    let kind = if error.is_remote() { ErrorKind::Reset } else { ErrorKind::Protocol };
    Failure::new(kind, error.to_string())
}

impl Counted {
    fn add(&self, written: usize, read: usize) {
        let (out, into) = self.state.moved.get();
        self.state.moved.set((out + written as u64, into + read as u64));
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = this.stream.poll_read(cx, buffer);
        this.add(0, buffer.filled().len() - before);
        this.state.greeting.borrow_mut().hear(&buffer.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = this.stream.poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            this.add(written, 0);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_shutdown(cx)
    }
}
