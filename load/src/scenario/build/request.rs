//! What is asked, by a step or by the probe, and what is expected of the answer.

use super::{Builder, grpc, http};
use crate::{
    check::Check,
    plan::Request,
    scenario::{
        file::{CheckFile, ExtractFile, GrpcFile, HttpFile, PostgresFile, RedisStepFile, TcpFile},
        read::{Located, OneOrMany, Ordered, Place, Problem, TextOr},
    },
};

/// A request as it was written, in one of the protocols, and what is expected of its answer.
pub(super) struct Asked<'a> {
    pub http: Option<&'a Located<TextOr<HttpFile>>>,
    pub grpc: Option<&'a Located<TextOr<GrpcFile>>>,
    pub tcp: Option<&'a Located<TcpFile>>,
    pub redis: Option<&'a Located<RedisStepFile>>,
    pub postgres: Option<&'a Located<TextOr<PostgresFile>>>,
    pub expect: Option<&'a Located<OneOrMany>>,
    pub checks: &'a [Located<CheckFile>],
}

impl Asked<'_> {
    /// How many requests were written.
    pub fn count(&self) -> usize {
        let given = [
            self.http.is_some(),
            self.grpc.is_some(),
            self.tcp.is_some(),
            self.redis.is_some(),
            self.postgres.is_some(),
        ];
        given.iter().filter(|given| **given).count()
    }
}

impl Builder<'_> {
    /// What is sent, and a name for it, if anything is.
    pub(super) fn asked(
        &mut self,
        asked: &Asked<'_>,
    ) -> Result<Option<(Request, String)>, Problem> {
        if let Some(http) = asked.http {
            let expect = asked.expect.map(http::statuses).transpose();
            let expect = expect.map_err(|e| e.within("expect"))?;
            let (built, name) = self.http(http, expect).map_err(|e| e.within("http"))?;
            return Ok(Some((Request::Http(Box::new(built)), name)));
        }
        if let Some(grpc) = asked.grpc {
            let expect = asked.expect.map(grpc::statuses).transpose();
            let expect = expect.map_err(|e| e.within("expect"))?;
            let (built, name) = self.grpc(grpc, expect).map_err(|e| e.within("grpc"))?;
            return Ok(Some((Request::Grpc(Box::new(built)), name)));
        }
        if let Some(expect) = asked.expect {
            return Err(Problem::at(expect.place, "only answers over HTTP and gRPC have a status")
                .within("expect"));
        }
        if let Some(tcp) = asked.tcp {
            let built = self.tcp(tcp).map_err(|e| e.within("tcp"))?;
            let name = format!("tcp {}", tcp.address.as_str());
            return Ok(Some((Request::Tcp(Box::new(built)), name)));
        }
        if let Some(redis) = asked.redis {
            let (built, name) = self.redis(redis).map_err(|e| e.within("redis"))?;
            return Ok(Some((Request::Redis(Box::new(built)), name)));
        }
        if let Some(postgres) = asked.postgres {
            let (built, name) = self.postgres(postgres).map_err(|e| e.within("postgres"))?;
            return Ok(Some((Request::Postgres(Box::new(built)), name)));
        }
        Ok(None)
    }

    /// What must hold for the answer to `request`.
    pub(super) fn expected(
        &mut self,
        asked: &Asked<'_>,
        request: &Request,
    ) -> Result<Vec<Check>, Problem> {
        let statuses = if asked.grpc.is_some() { grpc::statuses } else { http::statuses };
        let checks = self.checks(asked.checks, statuses)?;
        let Some(answer) = Plain::of(request) else { return Ok(checks) };
        for (at, check) in asked.checks.iter().enumerate() {
            let within = |e: Problem| e.within(format!("[{at}]")).within("checks");
            answer.has_header(check.header.as_ref()).map_err(within)?;
            answer.has_no(check.status.as_ref().map(|s| s.place), "status").map_err(within)?;
            answer.has_no(check.cookie.as_ref().map(|c| c.place), "cookie").map_err(within)?;
        }
        Ok(checks)
    }
}

/// Refuses to take out of the answer to `request` what answers of its protocol never have.
pub(super) fn has_what_is_extracted(
    extracts: &Ordered<Located<TextOr<ExtractFile>>>,
    request: &Request,
) -> Result<(), Problem> {
    let Some(answer) = Plain::of(request) else { return Ok(()) };
    for (name, extract) in &extracts.0 {
        let within = |e: Problem| e.within(name.as_str()).within("extract");
        let TextOr::Full(full) = &extract.value else { continue };
        answer.has_header(full.header.as_ref()).map_err(within)?;
        answer.has_no(full.cookie.as_ref().map(|c| c.place), "cookie").map_err(within)?;
    }
    Ok(())
}

/// Answers of a protocol that has no statuses, no cookies, and no headers but these.
struct Plain {
    protocol: &'static str,
    headers: &'static [&'static str],
}

impl Plain {
    fn of(request: &Request) -> Option<Self> {
        let (protocol, headers): (_, &[&str]) = match request {
            Request::Http(_) | Request::Grpc(_) | Request::None => return None,
            Request::Tcp(_) => ("a plain connection", &[]),
            Request::Redis(_) => ("Redis", &["type"]),
            Request::Postgres(_) => ("PostgreSQL", &["rows", "command"]),
        };
        Some(Self { protocol, headers })
    }

    fn has_header(&self, header: Option<&Located<String>>) -> Result<(), Problem> {
        let Some(name) = header.filter(|name| !self.headers.contains(&name.as_str())) else {
            return Ok(());
        };
        let instead = match self.headers {
            [] => String::new(),
            known => format!("; known are {}", known.join(", ")),
        };
        let message =
            format!("an answer of {} has no header {:?}{instead}", self.protocol, name.value);
        Err(Problem::at(name.place, message).within("header"))
    }

    fn has_no(&self, asked_at: Option<Place>, what: &str) -> Result<(), Problem> {
        let Some(place) = asked_at else { return Ok(()) };
        let message = format!("an answer of {} has no {what}", self.protocol);
        Err(Problem::at(place, message).within(what))
    }
}
