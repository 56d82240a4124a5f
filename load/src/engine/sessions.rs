//! Attempts over protocols other than HTTP: a connection for each user and server, kept from step
//! to step.

use std::{rc::Rc, time::Duration};

use super::{
    exchange::{Attempt, counted},
    prepare::Action,
};
use crate::{
    measure::{ErrorKind, Failure},
    plan::{AnswerEnd, Param, PostgresRequest, Query, RedisRequest, TcpRequest},
    protocol::{
        Answer,
        postgres::{self, Ask, Refusal},
        redis::{self, Value},
        tcp,
        wire::Wire,
    },
    template::{Template, TemplateError, Vars},
};

/// A connection that carries one request after the other.
#[derive(Debug)]
pub enum Session {
    /// Of TCP and of Redis: nothing more is to be known of it.
    Wire(Wire),
    /// Of PostgreSQL.
    Postgres(Box<postgres::Connection>),
}

impl Session {
    fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Wire(wire) => wire,
            Self::Postgres(connection) => &mut connection.wire,
        }
    }

    /// Whether a run of a flow may begin on it: a transaction that the last one left open is not
    /// the next one's.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !matches!(self, Self::Postgres(connection) if connection.in_transaction())
    }
}

fn template(error: &TemplateError) -> Failure {
    Failure::new(ErrorKind::Template, error.to_string())
}

fn rendered(text: &Template, vars: &mut Vars) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    text.render(&mut out, vars).map_err(|e| template(&e))?;
    Ok(out)
}

impl Attempt<'_> {
    /// Sends bytes and reads an answer.
    pub(super) async fn tcp(
        &mut self,
        endpoint: usize,
        request: &TcpRequest,
    ) -> Result<(), Failure> {
        let bytes = rendered(&request.send, &mut self.user.vars)?;
        let mut wire = self.wire(endpoint, request.fresh).await?;
        let worker = Rc::clone(&self.user.worker);
        let now = || worker.clock.now();
        let limit = worker.prepared.plan.limits.body;
        let sent = self.sent();
        wire.send(&bytes, &now).await?;
        let body =
            tcp::receive(&mut wire, &request.end, limit, self.prepared.needs_body, &now).await?;
        self.heard(&wire);
        if !request.fresh && !matches!(request.end, AnswerEnd::Close) {
            self.user.sessions.push((endpoint, Session::Wire(wire)));
        }
        self.look_at(&[], &body, sent)
    }

    /// Asks Redis.
    pub(super) async fn redis(
        &mut self,
        endpoint: usize,
        request: &RedisRequest,
    ) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        for command in &request.commands {
            let words = command.iter().map(|word| rendered(word, &mut self.user.vars));
            redis::write_command(&mut bytes, &words.collect::<Result<Vec<_>, _>>()?);
        }
        let mut wire = self.wire(endpoint, false).await?;
        if !wire.input.is_empty() {
            let text = format!("{} bytes after an answer", wire.input.len());
            return Err(Failure::new(ErrorKind::Protocol, text));
        }
        let worker = Rc::clone(&self.user.worker);
        let now = || worker.clock.now();
        let limit = worker.prepared.plan.limits.body;
        let sent = self.sent();
        wire.send(&bytes, &now).await?;
        let count = request.commands.len();
        let values = redis::receive(&mut wire, count, limit, &now).await?;
        self.heard(&wire);
        self.user.sessions.push((endpoint, Session::Wire(wire)));
        let refused = values.iter().enumerate().find_map(|(at, v)| Some((at, v.error()?)));
        if let Some((at, text)) = refused {
            let which =
                if request.pipeline { format!("command {}: ", at + 1) } else { String::new() };
            return Err(Failure::new(ErrorKind::Status, format!("{which}{text}")));
        }
        if !self.prepared.needs_answer {
            return Ok(());
        }
        let mut values = values.into_iter();
        let value = match request.pipeline {
            true => Value::Array(values.collect()),
            false => values.next().unwrap_or(Value::Nil),
        };
        let kind = value.kind();
        self.look_at(&[("type", kind.as_bytes())], &value.into_body(), sent)
    }

    /// Asks PostgreSQL.
    pub(super) async fn postgres(
        &mut self,
        endpoint: usize,
        request: &PostgresRequest,
    ) -> Result<(), Failure> {
        let vars = &mut self.user.vars;
        let params = request.params.iter().map(|param| match param {
            Param::Null => Ok(None),
            Param::Text(text) => rendered(text, vars).map(Some),
        });
        let params = params.collect::<Result<Vec<_>, _>>()?;
        let changing;
        let (prepared, text) = match &request.query {
            Query::Prepared(text) => (Some(text), &**text),
            Query::Changing(query) => {
                changing = query.render_text(vars).map_err(|e| template(&e))?;
                (None, changing.as_str())
            }
        };
        let Session::Postgres(mut connection) = self.session(endpoint, false).await? else {
            return Err(other_protocol());
        };
        let worker = Rc::clone(&self.user.worker);
        let now = || worker.clock.now();
        let limit = worker.prepared.plan.limits.body;
        let ask = Ask { prepared, text, params: &params, keep: self.prepared.needs_body, limit };
        let sent = self.sent();
        let reply = match connection.ask(&ask, &now).await {
            Ok(reply) => Ok(reply),
            Err(Refusal::Answered(failure)) => Err(failure),
            Err(Refusal::Broken(failure)) => return Err(failure),
        };
        self.heard(&connection.wire);
        self.user.sessions.push((endpoint, Session::Postgres(connection)));
        let reply = reply?;
        let rows = reply.rows.to_string();
        let headers = [("rows", rows.as_bytes()), ("command", reply.command.as_bytes())];
        self.look_at(&headers, &reply.body, sent)
    }

    /// A connection of the user's that is still open, or a fresh one.
    async fn session(&mut self, endpoint: usize, fresh: bool) -> Result<Session, Failure> {
        if fresh {
            return self.opened(endpoint).await;
        }
        let worker = Rc::clone(&self.user.worker);
        let now = || worker.clock.now();
        let sessions = &mut self.user.sessions;
        while let Some(at) = sessions.iter().rposition(|(number, _)| *number == endpoint) {
            let (_, mut session) = sessions.swap_remove(at);
            if session.wire().is_open(&now).await {
                self.sample.traffic.reused += 1;
                return Ok(session);
            }
        }
        self.opened(endpoint).await
    }

    /// The same where nothing more is to be known of the connection.
    async fn wire(&mut self, endpoint: usize, fresh: bool) -> Result<Wire, Failure> {
        match self.session(endpoint, fresh).await? {
            Session::Wire(wire) => Ok(wire),
            Session::Postgres(_) => Err(other_protocol()),
        }
    }

    /// A fresh connection, logged in.
    async fn opened(&mut self, endpoint: usize) -> Result<Session, Failure> {
        let opened = self.open(endpoint).await;
        counted(opened, &mut self.sample.traffic, &mut self.user.refused)
    }

    async fn open(&mut self, endpoint: usize) -> Result<Session, Failure> {
        let worker = Rc::clone(&self.user.worker);
        let now = || worker.clock.now();
        let place = &worker.prepared.endpoints[endpoint];
        if let Action::Postgres { request, .. } = &self.prepared.action {
            let stream = postgres::connect(place).await?;
            let wire = Wire::new(stream, &worker.connections, &self.user.moved);
            let connection = postgres::log_in(wire, &request.server, &now).await?;
            return Ok(Session::Postgres(Box::new(connection)));
        }
        let stream = place.connect().await?;
        let mut wire = Wire::new(stream, &worker.connections, &self.user.moved);
        if let Action::Redis { request, .. } = &self.prepared.action {
            redis::log_in(&mut wire, &request.server, &now).await?;
        }
        Ok(Session::Wire(wire))
    }

    /// Notes when the answer came.
    fn heard(&mut self, wire: &Wire) {
        let heard = wire.heard();
        self.sample.first_byte = heard.map(|(first, _)| first);
        self.sample.end = heard.map_or_else(|| self.user.worker.clock.now(), |(_, last)| last);
    }

    /// Compares an answer with what is expected of it.
    fn look_at(
        &mut self,
        headers: &[(&str, &[u8])],
        body: &[u8],
        sent: u64,
    ) -> Result<(), Failure> {
        if !self.prepared.needs_answer {
            return Ok(());
        }
        let latency = Duration::from_nanos(self.sample.end.saturating_sub(sent));
        self.verify(&Answer { status: 0, headers, body, latency })
    }
}

fn other_protocol() -> Failure {
    // Numbers of endpoints tell protocols apart, so this is a mistake of ours.
    Failure::new(ErrorKind::Template, "the connection speaks another protocol")
}
