//! HTTP/1.1 over the Unix socket, driven by a runtime of the client's own.

use std::{
    fmt,
    future::Future,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response,
    body::Incoming,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, runtime::Runtime, time};

use super::{ClientError, Unreachable};
use crate::{Problem, SSH_CONNECTION_HEADER};

/// No answer of the daemon comes near this; it keeps a wrong peer from filling
/// the memory of the client.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// How often a connection is tried again while the daemon's backlog is full.
const BACKLOG_RETRY: Duration = Duration::from_millis(5);

pub(super) struct Transport {
    socket: PathBuf,
    ssh_connection: Option<HeaderValue>,
    runtime: Runtime,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn new(socket: PathBuf, ssh: Option<String>) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => Ok(Self {
                socket,
                // An unprintable value cannot be a real one; without the
                // header the daemon falls back to what it can find out itself.
                ssh_connection: ssh.and_then(|text| HeaderValue::from_str(&text).ok()),
                runtime,
            }),
            Err(e) => Err(ClientError::NotReachable { socket, why: Unreachable::Io(e) }),
        }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs `future` on the client's runtime, for at most `limit`.
    pub(super) fn within<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, time::error::Elapsed> {
        self.runtime.block_on(async { time::timeout(limit, future).await })
    }

    /// One call: the body of a successful answer.
    pub(super) fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        limit: Duration,
    ) -> Result<Bytes, ClientError> {
        self.in_time(limit, async {
            let response = self.request(method, path, body).await?;
            self.body(response).await
        })
    }

    /// Opens a stream: the answer's head is there, its body is still to come.
    pub(super) fn stream(
        &self,
        path: &str,
        limit: Duration,
    ) -> Result<Response<Incoming>, ClientError> {
        self.in_time(limit, self.request(Method::GET, path, None))
    }

    pub(super) fn closed(&self, how: impl fmt::Display) -> ClientError {
        self.unreachable(Unreachable::Closed(how.to_string()))
    }

    fn in_time<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let silent = |_| Err(self.unreachable(Unreachable::Silent(limit)));
        self.within(limit, work).unwrap_or_else(silent)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|e| self.closed(e))?;
        // Its errors reach the call itself through `sender` and the body.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "faultd")
            .header(USER_AGENT, concat!("faultd-api/", env!("CARGO_PKG_VERSION")));
        if let Some(ssh) = &self.ssh_connection {
            request = request.header(SSH_CONNECTION_HEADER, ssh);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|e| ClientError::Protocol(e.to_string()))?;
        let response = sender.send_request(request).await.map_err(|e| self.closed(e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = self.body(response).await?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(ClientError::Problem(problem)),
            Err(_) => Err(ClientError::Protocol(format!(
                "{path} was answered with {status}, and not in faultd's words; \
                 is another service listening on {}?",
                self.socket.display()
            ))),
        }
    }

    async fn body(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|e| self.closed(e))
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        loop {
            match UnixStream::connect(&self.socket).await {
                Ok(stream) => return Ok(stream),
                // unix(7): a non-blocking connect fails with EAGAIN while the
                // backlog is full; the caller's time-out ends the wait.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    time::sleep(BACKLOG_RETRY).await;
                }
                Err(e) => return Err(self.refused(e)),
            }
        }
    }

    fn refused(&self, error: io::Error) -> ClientError {
        match error.kind() {
            io::ErrorKind::NotFound => self.unreachable(Unreachable::NoSocket),
            // connect(2) says the same of a file that is no socket.
            io::ErrorKind::ConnectionRefused => {
                let is_socket = std::fs::metadata(&self.socket)
                    .is_ok_and(|m| std::os::unix::fs::FileTypeExt::is_socket(&m.file_type()));
                self.unreachable(if is_socket {
                    Unreachable::Refused
                } else {
                    Unreachable::NotASocket
                })
            }
            io::ErrorKind::PermissionDenied => ClientError::PermissionDenied {
                group: group_of(&self.socket),
                socket: self.socket.clone(),
            },
            _ => self.unreachable(Unreachable::Io(error)),
        }
    }

    fn unreachable(&self, why: Unreachable) -> ClientError {
        ClientError::NotReachable { socket: self.socket.clone(), why }
    }
}

/// The group that owns the socket; its name, or its number where it has none.
fn group_of(socket: &Path) -> Option<String> {
    let gid = std::fs::metadata(socket).ok()?.gid();
    let named = nix::unistd::Group::from_gid(gid.into()).ok().flatten();
    Some(named.map_or_else(|| gid.to_string(), |group| group.name))
}
