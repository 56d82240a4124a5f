//! Connections: TCP, Unix sockets, and TLS over either.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

pub use super::unusable::TargetError;

use super::tls::Tls;
use crate::{
    measure::{ErrorKind, Failure},
    plan::{Scheme, Security, Target, TlsFiles, Transport},
};

/// A target with its name resolved; shared by all threads.
#[derive(Debug, Clone)]
pub struct Endpoint {
    place: Place,
    tls: Option<Tls>,
}

#[derive(Debug, Clone)]
enum Place {
    /// The addresses of the name, and which of them has answered last.
    Tcp(Arc<(Vec<SocketAddr>, AtomicUsize)>),
    Unix(PathBuf),
}

impl Endpoint {
    /// Resolves `target`. Names are looked up once, before the run, so that a slow resolver is not
    /// taken for a slow target.
    ///
    /// # Errors
    /// The name has no address, or is none that TLS can verify, or a file of TLS is of no use.
    pub fn resolve(
        target: &Target,
        scheme: Scheme,
        http2: bool,
        files: &TlsFiles,
    ) -> Result<Self, TargetError> {
        let alpn: &[&[u8]] = if http2 { &[b"h2"] } else { &[b"http/1.1"] };
        let verify = match scheme {
            Scheme::Http => None,
            Scheme::Https => Some(true),
            Scheme::HttpsInsecure => Some(false),
        };
        Self::with(target, verify, alpn, files)
    }

    /// The same for a protocol that is not HTTP.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_plain(
        target: &Target,
        security: Security,
        files: &TlsFiles,
    ) -> Result<Self, TargetError> {
        let verify = match security {
            Security::Plain => None,
            Security::Verified => Some(true),
            Security::AnyCertificate => Some(false),
        };
        Self::with(target, verify, &[], files)
    }

    /// `verify`: with TLS, and whether the certificate is verified.
    fn with(
        target: &Target,
        verify: Option<bool>,
        alpn: &[&[u8]],
        files: &TlsFiles,
    ) -> Result<Self, TargetError> {
        let place = match &target.transport {
            Transport::Unix(path) => Place::Unix(path.clone()),
            Transport::Tcp => {
                let host = target.host.trim_start_matches('[').trim_end_matches(']');
                let failed = |cause| TargetError::Resolve { host: host.to_owned(), cause };
                let found: Vec<_> =
                    (host, target.port).to_socket_addrs().map_err(failed)?.collect();
                if found.is_empty() {
                    return Err(failed(io::ErrorKind::NotFound.into()));
                }
                Place::Tcp(Arc::new((found, AtomicUsize::new(0))))
            }
        };
        let tls = verify.map(|verify| Tls::new(&target.host, verify, alpn, files)).transpose()?;
        Ok(Self { place, tls })
    }

    /// The addresses of its name; none of a Unix socket.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        match &self.place {
            Place::Tcp(shared) => &shared.0,
            Place::Unix(_) => &[],
        }
    }

    /// Opens a connection, through the TLS handshake if there is one.
    ///
    /// # Errors
    /// Why there is none; when there are several addresses, of the last one tried.
    pub async fn connect(&self) -> Result<Stream, Failure> {
        let plain = self.connect_plain().await?;
        self.secure(plain).await
    }

    /// Whether there is TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Opens a connection and leaves TLS to [`Self::secure`]: some protocols ask for it first.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_plain(&self) -> Result<Plain, Failure> {
        Ok(match &self.place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                Plain::Unix(stream.map_err(|e| Failure::connecting(&e))?)
            }
            Place::Tcp(shared) => {
                let (addresses, best) = &**shared;
                Plain::Tcp(connect_tcp(addresses, best).await?)
            }
        })
    }

    /// Shakes hands over TLS, if there is to be any.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn secure(&self, plain: Plain) -> Result<Stream, Failure> {
        match &self.tls {
            None => Ok(Stream::Plain(plain)),
            Some(tls) => {
                let stream = tls.handshake(plain).await?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }
}

async fn connect_tcp(addresses: &[SocketAddr], best: &AtomicUsize) -> Result<TcpStream, Failure> {
    let first = best.load(Ordering::Relaxed);
    let mut last = None;
    for at in 0..addresses.len() {
        let at = (first + at) % addresses.len();
        match TcpStream::connect(addresses[at]).await {
            Ok(stream) => {
                if at != first {
                    best.store(at, Ordering::Relaxed);
                }
                // A request is one write: waiting for more (Nagle) would only delay it.
                stream.set_nodelay(true).map_err(|e| Failure::connecting(&e))?;
                return Ok(stream);
            }
            Err(e) => {
                let failure = Failure::connecting(&e);
                if failure.kind.is_local() {
                    return Err(failure);
                }
                last = Some(failure);
            }
        }
    }
    Err(last.unwrap_or_else(|| Failure::new(ErrorKind::Connect, "no address")))
}

/// A connection without TLS.
#[derive(Debug)]
pub enum Plain {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

/// A connection of any kind.
#[derive(Debug)]
pub enum Stream {
    /// Without TLS.
    Plain(Plain),
    /// With TLS.
    Tls(Box<tokio_rustls::client::TlsStream<Plain>>),
}

macro_rules! each {
    ($self:expr, $stream:ident => $body:expr) => {
        match $self {
            Stream::Plain(Plain::Tcp($stream)) => $body,
            Stream::Plain(Plain::Unix($stream)) => $body,
            Stream::Tls($stream) => $body,
        }
    };
}

impl Stream {
    /// Reads what is there.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }

    /// Writes what fits.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    /// Hands on what TLS has kept back.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Says that nothing more will be written.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    /// Whether there is something to read, or the other side has closed; if not, the task is woken
    /// when there is.
    pub fn has_input(&self, cx: &mut Context<'_>) -> bool {
        let plain = match self {
            Self::Plain(plain) => plain,
            Self::Tls(stream) => stream.get_ref().0,
        };
        match plain {
            Plain::Tcp(stream) => stream.poll_read_ready(cx).is_ready(),
            Plain::Unix(stream) => stream.poll_read_ready(cx).is_ready(),
        }
    }

    /// Whether both sides agreed on HTTP/2 in the TLS handshake.
    #[must_use]
    pub fn speaks_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
