//! HTTP requests.

use std::path::PathBuf;

use super::{Builder, flow::shortened};
use crate::{
    plan::{HttpRequest, HttpVersion, Scheme, StatusRange, Streaming, Target, Transport},
    scenario::{
        file::{HttpFile, StreamFile, VersionFile},
        read::{Located, OneOrMany, Place, Problem, TextOr},
    },
    words,
};

const METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"];

/// A URL in its parts.
struct Url<'a> {
    scheme: Scheme,
    host: String,
    port: u16,
    /// Path and query.
    rest: &'a str,
}

impl Builder<'_> {
    /// A request and a name for it.
    pub(super) fn http(
        &mut self,
        written: &Located<TextOr<HttpFile>>,
        expect: Option<Vec<StatusRange>>,
    ) -> Result<(HttpRequest, String), Problem> {
        let short;
        let file = match &written.value {
            TextOr::Full(file) => file,
            TextOr::Text(text) => {
                short = self.short_form(written.place, text)?;
                &short
            }
        };
        if file.url.trim().is_empty() {
            return Err(Problem::at(written.place, "`url` is missing"));
        }
        let (target, scheme, path) = self.where_to(file)?;
        let path = Located { place: file.url.place, value: path };
        let (body, content_type) = self.body(file)?;
        let method = match &file.method {
            Some(method) => checked_method(method)?,
            None if matches!(body, crate::plan::Body::Empty) => "GET".to_owned(),
            None => "POST".to_owned(),
        };
        let defaults = &self.file.http;
        let name = shortened(&format!("{method} {}", path.split('?').next().unwrap_or_default()));
        let mut headers: Vec<(String, crate::template::Template)> = Vec::new();
        let own = file.headers.0.iter().map(|h| (h, true));
        let common = defaults.headers.0.iter().map(|h| (h, false));
        for ((header, value), is_own) in own.chain(common) {
            let within = |e: Problem| e.within(header.as_str()).within("headers");
            if !is_own && headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(header)) {
                continue;
            }
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if header.is_empty() || !header.chars().all(token) {
                let message = format!("{:?} is no name of a header", header.as_str());
                return Err(within(Problem::at(header.place, message)));
            }
            if value.contains(['\r', '\n']) {
                return Err(within(Problem::at(value.place, "a header's value is one line")));
            }
            headers.push((header.value.clone(), self.template(value).map_err(within)?));
        }
        if let Some(kind) = content_type
            && !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("content-type".into(), crate::template::Template::verbatim(kind)));
        }
        let version = match file.version.or(defaults.version) {
            Some(VersionFile::Two) => HttpVersion::Http2,
            _ => HttpVersion::Http1,
        };
        let streaming = file.stream.map(|stream| match stream {
            StreamFile::Sse => Streaming::ServerSentEvents,
            StreamFile::Chunks => Streaming::Chunks,
        });
        let mut request =
            HttpRequest::get(target, scheme, self.template(&path).map_err(|e| e.within("url"))?);
        request.method = method;
        request.headers = headers;
        request.body = body;
        request.version = version;
        request.streaming = streaming;
        if let Some(expect) = expect {
            request.expect = expect;
        }
        Ok((request, name))
    }

    /// `GET /items`.
    fn short_form(&self, place: Place, text: &str) -> Result<HttpFile, Problem> {
        let (method, url) = text.trim().split_once(char::is_whitespace).ok_or_else(|| {
            let message = format!("takes a method and a URL such as GET /items, got {text:?}");
            Problem::at(place, message)
        })?;
        let url_at = text.chars().count() - url.trim_start().chars().count();
        let here = self.inside(&Located { place, value: text.to_owned() }, url_at);
        Ok(HttpFile {
            method: Some(Located { place, value: method.to_owned() }),
            url: Located { place: here, value: url.trim().to_owned() },
            ..HttpFile::default()
        })
    }

    fn where_to(&mut self, file: &HttpFile) -> Result<(Target, Scheme, String), Problem> {
        let socket = file.socket.as_ref().or(self.file.http.socket.as_ref());
        let text = file.url.trim();
        let joined;
        let url = if text.starts_with('/') {
            let base = match (&self.file.target, socket) {
                (Some(base), _) => base,
                // The socket says where; the host is for the `Host` header alone.
                (None, Some(_)) => {
                    &Located { place: file.url.place, value: "http://localhost".to_owned() }
                }
                (None, None) => {
                    let message = format!(
                        "{text:?} is a path alone: say `target: http://HOST:PORT` at the top, or write the whole URL"
                    );
                    return Err(Problem::at(file.url.place, message).within("url"));
                }
            };
            let url = parse(base).map_err(|m| Problem::at(base.place, m))?;
            joined = format!("{}{text}", url.rest.trim_end_matches('/'));
            Url { rest: &joined, ..url }
        } else {
            parse(text).map_err(|m| Problem::at(file.url.place, m).within("url"))?
        };
        let insecure = file.insecure.unwrap_or(self.file.http.insecure);
        let scheme = match url.scheme {
            Scheme::Https if insecure => Scheme::HttpsInsecure,
            other => other,
        };
        let transport = match socket {
            Some(path) => Transport::Unix(PathBuf::from(path)),
            None => Transport::Tcp,
        };
        let shown = match socket {
            Some(path) => format!("unix:{path}"),
            None => {
                let name = if scheme == Scheme::Http { "http" } else { "https" };
                format!("{name}://{}:{}", url.host, url.port)
            }
        };
        self.targets.insert(shown);
        let path = match url.rest {
            "" => "/".to_owned(),
            rest if rest.starts_with('?') => format!("/{rest}"),
            rest => rest.to_owned(),
        };
        Ok((Target { host: url.host, port: url.port, transport }, scheme, path))
    }
}

fn checked_method(method: &Located<String>) -> Result<String, Problem> {
    let text = method.as_str();
    if METHODS.contains(&text) {
        return Ok(text.to_owned());
    }
    let is_token = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    match words::nearest(text, &METHODS) {
        None if is_token => Ok(text.to_owned()),
        _ => {
            let message = format!("{text:?} is no method{}", words::instead(text, &METHODS));
            Err(Problem::at(method.place, message).within("method"))
        }
    }
}

/// Cuts a URL into its parts; its host is fixed, what follows may be a template.
fn parse(text: &str) -> Result<Url<'_>, String> {
    let wrong = || format!("takes a URL such as http://127.0.0.1:8080/items, got {text:?}");
    let (scheme, rest) = text.trim().split_once("://").ok_or_else(wrong)?;
    let (scheme, default_port) = match scheme {
        "http" => (Scheme::Http, 80),
        "https" => (Scheme::Https, 443),
        _ => {
            return Err(format!(
                "{scheme:?} is no scheme{}",
                words::instead(scheme, &["http", "https"])
            ));
        }
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if rest.contains('#') {
        return Err("a fragment (#…) is never sent: leave it out".into());
    }
    if authority.contains("{{") {
        return Err("the host and port of a URL are fixed: no {{…}} before its path".into());
    }
    if authority.contains('@') {
        return Err(
            "a name and password belong into an authorization header, not into the URL".into()
        );
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(wrong)?)),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let port = match port {
        None => default_port,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(format!("{port:?} is no port: takes a number from 1 to 65535")),
        },
    };
    Ok(Url { scheme, host: host.to_owned(), port, rest })
}

/// `200`, `2xx`, `200-204`.
pub(super) fn statuses(written: &Located<OneOrMany>) -> Result<Vec<StatusRange>, Problem> {
    let range = |text: &String| -> Option<StatusRange> {
        let number = |text: &str| text.parse::<u16>().ok().filter(|n| (100..=599).contains(n));
        if let Some(class) = text.strip_suffix("xx") {
            let class = class.parse::<u16>().ok().filter(|c| (1..=5).contains(c))?;
            return Some(class * 100..=class * 100 + 99);
        }
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let (low, high) = (number(low.trim())?, number(high.trim())?);
        (low <= high).then_some(low..=high)
    };
    if written.0.is_empty() {
        return Err(Problem::at(written.place, "says no status, such as 200, 2xx or 200-204"));
    }
    let ranges = written.0.iter().map(|text| {
        range(text).ok_or_else(|| {
            let message = format!("takes a status such as 200, 2xx or 200-204, got {text:?}");
            Problem::at(written.place, message)
        })
    });
    ranges.collect()
}
