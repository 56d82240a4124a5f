//! Queries for PostgreSQL.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::{Builder, flow::shortened, redis::shown};
use crate::{
    plan::{Param, PostgresRequest, PostgresServer, Query, Security, Target, Transport},
    scenario::{
        file::PostgresFile,
        read::{Amount, Located, Place, Problem, TextOr},
    },
};

const PORT: u16 = 5432;

impl Builder<'_> {
    /// A request and a name for it.
    pub(super) fn postgres(
        &mut self,
        written: &Located<TextOr<PostgresFile>>,
    ) -> Result<(PostgresRequest, String), Problem> {
        let short;
        let file = match &written.value {
            TextOr::Full(file) => file,
            TextOr::Text(text) => {
                let query = Some(Located { place: written.place, value: text.clone() });
                short = PostgresFile { query, ..PostgresFile::default() };
                &short
            }
        };
        let Some(query) = file.query.as_ref().filter(|query| !query.trim().is_empty()) else {
            let message = "`query` is missing, such as `query: SELECT 1`";
            return Err(Problem::at(written.place, message));
        };
        let server = self.postgres_server(written.place, file)?;
        let template = self.template(query).map_err(|e| e.within("query"))?;
        let params = file.params.iter().enumerate().map(|(at, param)| {
            let within = |e: Problem| e.within(format!("[{at}]")).within("params");
            let Some(Amount(text)) = &param.value else { return Ok(Param::Null) };
            let text = Located { place: param.place, value: text.clone() };
            self.template(&text).map(Param::Text).map_err(within)
        });
        let params = params.collect::<Result<Vec<_>, _>>()?;
        let name = shortened(query);
        let query = match template.as_static() {
            Some(text) => Query::Prepared(String::from_utf8_lossy(text).into()),
            None => Query::Changing(template),
        };
        Ok((PostgresRequest { server, query, params }, name))
    }

    fn postgres_server(
        &mut self,
        place: Place,
        file: &PostgresFile,
    ) -> Result<PostgresServer, Problem> {
        let defaults = &self.file.postgres;
        let Some(url) = file.url.as_ref().or(defaults.url.as_ref()) else {
            let message = "no server: say `url: postgres://USER@HOST/DATABASE`, or `postgres: { url: … }` at the top";
            return Err(Problem::at(place, message));
        };
        let mut server =
            parse(url).map_err(|message| Problem::at(url.place, message).within("url"))?;
        if let Some(path) = file.socket.as_ref().or(defaults.socket.as_ref()) {
            server.target.transport = Transport::Unix(socket(path, server.target.port));
        }
        if let Some(password) = file.password.as_ref().or(defaults.password.as_ref()) {
            server.password = Some(password.0.clone());
        }
        self.targets.insert(match &server.target.transport {
            Transport::Unix(_) => shown("postgres", &server.target),
            Transport::Tcp => {
                format!("{}/{}", shown("postgres", &server.target), server.database)
            }
        });
        Ok(server)
    }
}

/// The socket itself, where a folder may have been given, as PostgreSQL names it.
fn socket(path: &str, port: u16) -> PathBuf {
    let path = PathBuf::from(path);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    if name.is_some_and(|name| name.starts_with(".s.PGSQL.")) {
        return path;
    }
    path.join(format!(".s.PGSQL.{port}"))
}

/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`, where everything but the user can be
/// left out, as libpq has it:
/// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>.
fn parse(text: &str) -> Result<PostgresServer, String> {
    let wrong = || format!("takes postgres://USER:PASSWORD@HOST:PORT/DATABASE, got {text:?}");
    let text = text.trim();
    let rest = ["postgres://", "postgresql://"].iter().find_map(|p| text.strip_prefix(p));
    let rest = rest.ok_or_else(wrong)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if text.contains("{{") {
        return Err("the server is the same for all: no {{…}} in its URL".into());
    }
    let (user, host) = authority.rsplit_once('@').ok_or("names no user: postgres://USER@HOST/…")?;
    let (user, password) = match user.split_once(':') {
        Some((user, password)) => (user, Some(decoded(password)?)),
        None => (user, None),
    };
    let user = decoded(user)?;
    if user.is_empty() {
        return Err("names no user: postgres://USER@HOST/…".into());
    }
    let (host, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match host.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        },
    };
    let port = match port {
        None => PORT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|p| *p > 0)
            .ok_or_else(|| format!("{port:?} is no port: takes a number from 1 to 65535"))?,
    };
    let host = match decoded(host)? {
        host if host.is_empty() => "localhost".to_owned(),
        host => host,
    };
    let transport = match host.starts_with('/') {
        true => Transport::Unix(socket(&host, port)),
        false => Transport::Tcp,
    };
    let database = match decoded(database)? {
        database if database.is_empty() => user.clone(),
        database => database,
    };
    let security = sslmode(query)?;
    let host = if transport == Transport::Tcp { host } else { "localhost".to_owned() };
    Ok(PostgresServer {
        target: Target { host, port, transport },
        security,
        user,
        password,
        database,
    })
}

fn sslmode(query: &str) -> Result<Security, String> {
    let mut security = Security::Plain;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        security = match pair.split_once('=') {
            Some(("sslmode", "disable")) => Security::Plain,
            Some(("sslmode", "require")) => Security::AnyCertificate,
            Some(("sslmode", "verify-full")) => Security::Verified,
            Some(("sslmode", other)) => {
                return Err(format!(
                    "sslmode is disable, require or verify-full, got {other:?}: what is measured is not left to chance"
                ));
            }
            _ => return Err(format!("{pair:?}: of all options only `sslmode` is known")),
        };
    }
    Ok(security)
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| format!("{text:?} is no UTF-8 when decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_libpq_has_them() {
        let server =
            parse("postgresql://al%40ice:p%3Aw@db.example:5433/shop?sslmode=require").unwrap();
        assert_eq!((server.user.as_str(), server.password.as_deref()), ("al@ice", Some("p:w")));
        assert_eq!((server.target.host.as_str(), server.target.port), ("db.example", 5433));
        assert_eq!((server.database.as_str(), server.security), ("shop", Security::AnyCertificate));
        let server = parse("postgres://u@[::1]").unwrap();
        assert_eq!((server.target.host.as_str(), server.target.port), ("::1", 5432));
        assert_eq!(server.database, "u");
        let server = parse("postgres://u@%2Frun%2Fpostgresql:5434/d").unwrap();
        let path = PathBuf::from("/run/postgresql/.s.PGSQL.5434");
        assert_eq!(server.target.transport, Transport::Unix(path));
        assert_eq!(socket("/x/.s.PGSQL.7", 5432), PathBuf::from("/x/.s.PGSQL.7"));
    }

    #[test]
    fn urls_that_are_none() {
        for (text, expected) in [
            ("mysql://u@h/d", "takes postgres://USER:PASSWORD@HOST:PORT/DATABASE, got "),
            ("postgres://h/d", "names no user"),
            ("postgres://@h/d", "names no user"),
            ("postgres://u@h:x/d", "\"x\" is no port"),
            ("postgres://u@h/d?sslmode=prefer", "sslmode is disable, require or verify-full"),
            ("postgres://u@h/d?options=x", "\"options=x\": of all options"),
            ("postgres://u@h/{{x}}", "the server is the same for all"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
