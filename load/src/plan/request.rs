//! What a step sends.

use std::{ops::RangeInclusive, path::PathBuf};

use super::{GrpcRequest, PostgresRequest, RedisRequest, TcpRequest};
use crate::template::Template;

/// A request of one of the protocols.
#[derive(Debug, Clone)]
pub enum Request {
    /// HTTP/1.1 or HTTP/2.
    Http(Box<HttpRequest>),
    /// A call over gRPC.
    Grpc(Box<GrpcRequest>),
    /// Bytes over TCP or a Unix socket.
    Tcp(Box<TcpRequest>),
    /// Commands for Redis.
    Redis(Box<RedisRequest>),
    /// A query for PostgreSQL.
    Postgres(Box<PostgresRequest>),
    /// Nothing: a step that only pauses.
    None,
}

/// A request over HTTP.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// Where it goes.
    pub target: Target,
    /// Plain or through TLS.
    pub scheme: Scheme,
    /// Which version of HTTP is spoken.
    pub version: HttpVersion,
    /// GET, POST, ...
    pub method: String,
    /// Path and query, beginning with a slash.
    pub path: Template,
    /// Names and values, in order. `host`, `content-length` and `user-agent` are added where they
    /// are not given.
    pub headers: Vec<(String, Template)>,
    /// What follows the headers.
    pub body: Body,
    /// Statuses that count as success.
    pub expect: Vec<StatusRange>,
    /// How the answer is cut into events whose times are measured.
    pub streaming: Option<Streaming>,
}

/// A range of statuses, both ends included.
pub type StatusRange = RangeInclusive<u16>;

impl HttpRequest {
    /// GET with every status below 400 expected.
    #[must_use]
    pub fn get(target: Target, scheme: Scheme, path: Template) -> Self {
        Self {
            target,
            scheme,
            version: HttpVersion::Http1,
            method: "GET".to_owned(),
            path,
            headers: Vec::new(),
            body: Body::Empty,
            expect: vec![200..=399],
            streaming: None,
        }
    }
}

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The name or address that was written; goes into `Host` and the TLS server name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// How it is reached.
    pub transport: Transport,
}

/// What carries a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP to the target's host and port.
    Tcp,
    /// A Unix socket at this path.
    Unix(PathBuf),
}

/// Whether there is TLS below HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// No.
    Http,
    /// TLS, with the server's certificate verified.
    Https,
    /// TLS, with any certificate taken.
    HttpsInsecure,
}

/// Files in PEM that TLS needs beside what is built in; the same for all connections of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that are trusted, in place of the public ones.
    pub ca: Option<PathBuf>,
    /// This client's certificate chain and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The version of HTTP that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: agreed upon in the TLS handshake, or known beforehand without TLS.
    Http2,
}

/// The body of a request.
#[derive(Debug, Clone)]
pub enum Body {
    /// None.
    Empty,
    /// A text with variables in it.
    Template(Template),
    /// The same bytes each time.
    Bytes(Vec<u8>),
}

/// How a streamed answer is cut into events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streaming {
    /// Server-sent events: one for each block that has data, `[DONE]` left out.
    ServerSentEvents,
    /// One for each piece that arrives.
    Chunks,
}
