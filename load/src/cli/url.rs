//! URLs of targets.

use std::path::PathBuf;

use crate::plan::{Scheme, Target, Transport};

/// A URL that requests can be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// With TLS or without.
    pub scheme: Scheme,
    /// Where it is.
    pub target: Target,
    /// Path and query.
    pub path: String,
}

/// A text is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no URL that load can be sent to: {reason}")]
pub struct UrlError {
    text: String,
    reason: &'static str,
}

impl Url {
    /// Reads `http://HOST[:PORT][/PATH]`, the same with https, or
    /// `unix:/PATH/OF/SOCKET[:/PATH]`. Without a scheme it is http.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let wrong = |reason| UrlError { text: text.to_owned(), reason };
        if let Some(rest) = text.strip_prefix("unix:") {
            let (socket, path) = rest.split_once(":/").unwrap_or((rest, ""));
            if socket.is_empty() {
                return Err(wrong("there is no path of a socket after `unix:`"));
            }
            let transport = Transport::Unix(PathBuf::from(socket));
            let target = Target { host: "localhost".into(), port: 80, transport };
            return Ok(Self { scheme: Scheme::Http, target, path: format!("/{path}") });
        }
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(_) => return Err(wrong("only http, https and unix are known")),
            None => (Scheme::Http, text),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("credentials belong into a header (-H 'authorization: …')"));
        }
        let path = path.split('#').next().unwrap_or_default();
        let usable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !usable(path) {
            return Err(wrong("the path has characters that must be percent-encoded"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let usual = if scheme == Scheme::Http { 80 } else { 443 };
        let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[after_bracket..].rfind(':') {
            Some(colon) => {
                let (host, port) = authority.split_at(after_bracket + colon);
                let port =
                    port[1..].parse().map_err(|_| wrong("the port is no number to 65535"))?;
                (host, port)
            }
            None => (authority, usual),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || !usable(host) {
            return Err(wrong("there is no host"));
        }
        let target = Target { host: host.to_owned(), port, transport: Transport::Tcp };
        Ok(Self { scheme, target, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_they_are_written_elsewhere() {
        let cases = [
            ("http://h/", ("h", 80, "/")),
            ("http://h:8080", ("h", 8080, "/")),
            ("https://h/a/b?c=d#e", ("h", 443, "/a/b?c=d")),
            ("h:1?x", ("h", 1, "/?x")),
            ("http://[::1]:8080/x", ("::1", 8080, "/x")),
            ("http://[::1]", ("::1", 80, "/")),
            ("unix:/run/x.sock:/v1/health", ("localhost", 80, "/v1/health")),
            ("unix:/run/x.sock", ("localhost", 80, "/")),
        ];
        for (text, (host, port, path)) in cases {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.target.host.as_str(), url.target.port, url.path.as_str()),
                (host, port, path)
            );
        }
        for text in
            ["", "http://", "ftp://h", "http://h:99999", "http://u:p@h", "unix:", "http://h/ä"]
        {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
