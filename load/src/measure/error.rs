//! Why requests fail, by kind.

use std::{fmt, io};

use crate::summary::with_kind;

/// Kinds of failure. What the generator's own host could not do is apart from what the target did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ErrorKind {
    /// No connection: refused, unreachable, no such name; or the server does not let us in.
    Connect,
    /// The connection broke before the answer was complete and nothing says where it ends.
    Reset,
    /// No complete answer in time.
    Timeout,
    /// The connection was closed in the middle of an answer.
    Truncated,
    /// Not what the protocol allows.
    Protocol,
    /// TLS could not be set up.
    Tls,
    /// A status that was not expected; of Redis and PostgreSQL, an error that they answered.
    Status,
    /// A check did not hold.
    Check,
    /// A value was not in the answer.
    Extract,
    /// Local: no descriptors left (EMFILE, ENFILE).
    Descriptors,
    /// Local: no ports left (EADDRNOTAVAIL, EADDRINUSE).
    Ports,
    /// Local: no memory for sockets (ENOBUFS, ENOMEM).
    Memory,
    /// Local: the request could not be made up from its template.
    Template,
}

impl ErrorKind {
    /// How many there are.
    pub const COUNT: usize = 13;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Connect,
        Self::Reset,
        Self::Timeout,
        Self::Truncated,
        Self::Protocol,
        Self::Tls,
        Self::Status,
        Self::Check,
        Self::Extract,
        Self::Descriptors,
        Self::Ports,
        Self::Memory,
        Self::Template,
    ];

    /// Its name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Protocol => "protocol",
            Self::Tls => "tls",
            Self::Status => "status",
            Self::Check => "check",
            Self::Extract => "extract",
            Self::Descriptors => "descriptors",
            Self::Ports => "ports",
            Self::Memory => "memory",
            Self::Template => "template",
        }
    }

    /// Whether the generator's own host is to blame.
    #[must_use]
    pub fn is_local(self) -> bool {
        self >= Self::Descriptors
    }
}

/// A failure and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub kind: ErrorKind,
    /// In words.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_kind(self.kind.name(), &self.detail))
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// A failure of that kind.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// No connection could be had.
    #[must_use]
    pub fn connecting(error: &io::Error) -> Self {
        Self::new(local(error).unwrap_or(ErrorKind::Connect), error.to_string())
    }

    /// An open connection broke.
    #[must_use]
    pub fn broken(error: &io::Error) -> Self {
        // With TLS 1.3 a server refuses a client's certificate when the client is done already.
        if let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            return Self::new(ErrorKind::Tls, crate::protocol::tls::words(tls));
        }
        Self::new(local(error).unwrap_or(ErrorKind::Reset), error.to_string())
    }
}

/// What of `error` is this host's own doing.
fn local(error: &io::Error) -> Option<ErrorKind> {
    match error.raw_os_error()? {
        libc::EMFILE | libc::ENFILE => Some(ErrorKind::Descriptors),
        libc::EADDRNOTAVAIL | libc::EADDRINUSE => Some(ErrorKind::Ports),
        libc::ENOBUFS | libc::ENOMEM => Some(ErrorKind::Memory),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_the_order_of_their_numbers() {
        for (at, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
        }
    }

    #[test]
    fn a_kind_is_said_once() {
        let said = |kind, text: &str| Failure::new(kind, text).to_string();
        assert_eq!(said(ErrorKind::Status, "status 503"), "status 503");
        assert_eq!(said(ErrorKind::Connect, "refused"), "connect: refused");
    }

    #[test]
    fn what_this_host_lacks_is_not_the_targets_fault() {
        let kind = |errno| Failure::connecting(&io::Error::from_raw_os_error(errno)).kind;
        assert_eq!(kind(libc::ECONNREFUSED), ErrorKind::Connect);
        assert_eq!(kind(libc::EMFILE), ErrorKind::Descriptors);
        assert_eq!(kind(libc::EADDRNOTAVAIL), ErrorKind::Ports);
        assert!(kind(libc::ENOBUFS).is_local());
        assert!(!kind(libc::ECONNRESET).is_local());
    }
}
