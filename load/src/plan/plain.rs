//! What steps send that speak something else than HTTP.

use std::sync::Arc;

use regex::bytes::Regex;

use super::Target;
use crate::template::Template;

/// Whether there is TLS below a protocol that is not HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Security {
    /// No.
    Plain,
    /// TLS, with the server's certificate verified.
    Verified,
    /// TLS, with any certificate taken.
    AnyCertificate,
}

/// Bytes over a plain connection.
#[derive(Debug, Clone)]
pub struct TcpRequest {
    /// Where it goes.
    pub target: Target,
    /// TLS or not.
    pub security: Security,
    /// What is sent; nothing, where the server speaks first.
    pub send: Template,
    /// What ends the answer.
    pub end: AnswerEnd,
    /// A connection of its own, which is closed with its end.
    pub fresh: bool,
}

/// What ends an answer over a plain connection.
#[derive(Debug, Clone)]
pub enum AnswerEnd {
    /// There is none: nothing is awaited.
    NoAnswer,
    /// These bytes, which are no part of the answer itself.
    Text(Vec<u8>),
    /// The first place where all that has come matches this; what it matched is part of the
    /// answer.
    Match(Regex),
    /// It has this many bytes.
    Length(usize),
    /// It begins with its length: so many bytes (1, 2, 4 or 8), the most significant first, that
    /// do not count themselves and are no part of the answer.
    Prefix(u8),
    /// The other side closes the connection.
    Close,
}

/// Commands for Redis.
#[derive(Debug, Clone)]
pub struct RedisRequest {
    /// Whom to ask.
    pub server: RedisServer,
    /// One command, or several that are sent at once: the words of each.
    pub commands: Vec<Vec<Template>>,
    /// They were written as a list: the answer is one, too.
    pub pipeline: bool,
}

/// A Redis server, and how to log in to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RedisServer {
    /// Where it is.
    pub target: Target,
    /// TLS or not.
    pub security: Security,
    /// Said with AUTH, if there is a password.
    pub user: Option<String>,
    /// The same.
    pub password: Option<String>,
    /// Number of the database; 0 needs no SELECT.
    pub db: u32,
}

/// A query for PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresRequest {
    /// Whom to ask.
    pub server: PostgresServer,
    /// The query.
    pub query: Query,
    /// What stands for `$1`, `$2`, …
    pub params: Vec<Param>,
}

/// The text of a query.
#[derive(Debug, Clone)]
pub enum Query {
    /// The same each time: it is prepared once on each connection.
    Prepared(Arc<str>),
    /// With holes: the server reads it anew each time.
    Changing(Template),
}

/// A parameter of a query.
#[derive(Debug, Clone)]
pub enum Param {
    /// NULL.
    Null,
    /// In the text form of whatever type the server finds it to be.
    Text(Template),
}

/// A PostgreSQL server, and how to log in to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PostgresServer {
    /// Where it is.
    pub target: Target,
    /// TLS or not.
    pub security: Security,
    /// Who asks.
    pub user: String,
    /// If the server wants one.
    pub password: Option<String>,
    /// The database.
    pub database: String,
}
