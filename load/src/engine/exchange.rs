//! One attempt at a step: a connection, the request, the answer, what is expected of it.

use std::time::Duration;

use super::{
    prepare::{Action, PreparedStep},
    sink::BodySink,
    user::User,
};
use crate::{
    measure::{ErrorKind, Failure, Sample},
    plan::HttpRequest,
    protocol::{
        Answer,
        http1::{self, Connection, Parser},
    },
};

/// An idle connection that turns out to be closed after so long was closed for being idle, and
/// the request is sent again on a fresh one. One that was in use a moment ago is the target's
/// failure.
const IDLE: u64 = 500_000_000;

/// One attempt.
pub(super) struct Attempt<'a> {
    pub user: &'a mut User,
    pub prepared: &'a PreparedStep,
    pub sample: &'a mut Sample,
}

impl Attempt<'_> {
    /// Makes it.
    pub async fn run(&mut self) -> Result<(), Failure> {
        let done = match &self.prepared.action {
            Action::None => Ok(()),
            Action::Http { endpoint, request, wire, idempotent } => {
                self.http(*endpoint, request, wire.as_deref(), *idempotent).await
            }
        };
        if done.is_err() {
            self.sample.end = self.user.worker.clock.now();
        }
        done
    }

    async fn http(
        &mut self,
        endpoint: usize,
        request: &HttpRequest,
        wire: Option<&[u8]>,
        idempotent: bool,
    ) -> Result<(), Failure> {
        if wire.is_none() {
            let (out, body) = &mut self.user.scratch;
            out.clear();
            http1::write_request(request, &mut self.user.vars, out, body)
                .map_err(|e| Failure::new(ErrorKind::Template, e.to_string()))?;
        }
        loop {
            let mut connection = self.connection(endpoint).await?;
            let reused = connection.last_used();
            let sent = self.user.worker.clock.now();
            self.sample.first_sent.get_or_insert(sent);
            self.sample.sent = Some(sent);
            let attempt = self.on(&mut connection, request, wire).await;
            match attempt {
                Ok((parser, sink)) => {
                    if parser.keeps_alive() {
                        self.user.connections.push((endpoint, connection));
                    } else {
                        drop(connection);
                    }
                    return self.judge(request, &parser, sink, sent);
                }
                Err(broken) => {
                    let idle = reused.is_some_and(|last| sent.saturating_sub(last) >= IDLE);
                    let gone = broken.failure.kind == ErrorKind::Reset && broken.unanswered;
                    if !(idle && gone && idempotent) {
                        return Err(broken.failure);
                    }
                    self.sample.traffic.retries += 1;
                }
            }
        }
    }

    /// A connection of the user's that is still open, or a fresh one.
    async fn connection(&mut self, endpoint: usize) -> Result<Connection, Failure> {
        let user = &mut *self.user;
        let traffic = &mut self.sample.traffic;
        while let Some(at) = user.connections.iter().rposition(|(number, _)| *number == endpoint) {
            let (_, mut connection) = user.connections.swap_remove(at);
            if connection.is_open().await? {
                traffic.reused += 1;
                return Ok(connection);
            }
        }
        match user.worker.prepared.endpoints[endpoint].connect().await {
            Ok(stream) => {
                traffic.opened += 1;
                user.refused = 0;
                Ok(Connection::new(stream, &user.worker.connections))
            }
            Err(failure) => {
                traffic.refused += 1;
                user.refused = user.refused.saturating_add(1);
                Err(failure)
            }
        }
    }

    async fn on(
        &mut self,
        connection: &mut Connection,
        request: &HttpRequest,
        wire: Option<&[u8]>,
    ) -> Result<(Parser, BodySink), http1::Broken> {
        let bytes = wire.unwrap_or(&self.user.scratch.0);
        let clock = &self.user.worker.clock;
        let mut parser = Parser::new(request.method == "HEAD", self.prepared.needs_answer);
        let limit = self.user.worker.prepared.plan.limits.body;
        let mut sink = BodySink::new(self.prepared.needs_body.then_some(limit), request.streaming);
        let written = match connection.send(bytes).await {
            Ok(written) => written,
            // The answer may be there already: a server that refuses a request closes early.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)) => 0,
            Err(e) => {
                return Err(http1::Broken { failure: Failure::broken(&e), unanswered: true });
            }
        };
        self.sample.traffic.sent += written as u64;
        let now = || clock.now();
        let read = connection.receive(&mut parser, &mut sink, now, BodySink::arrived).await;
        self.sample.traffic.received += parser.received();
        self.sample.status = parser.status();
        let times = read?;
        self.sample.first_byte = Some(times.first_byte);
        self.sample.end = times.end;
        if written < bytes.len() {
            parser.forbid_reuse();
        }
        Ok((parser, sink))
    }

    /// Compares a complete answer with what is expected of it.
    fn judge(
        &mut self,
        request: &HttpRequest,
        parser: &Parser,
        mut sink: BodySink,
        sent: u64,
    ) -> Result<(), Failure> {
        let (prepared, user) = (self.prepared, &mut *self.user);
        let (status, due) = (parser.status(), self.sample.due);
        if let Some(events) = sink.finish() {
            user.worker.recorder.borrow_mut().streamed(prepared.id, due, events);
        }
        if !request.expect.iter().any(|range| range.contains(&status)) {
            return Err(Failure::new(ErrorKind::Status, format!("status {status}")));
        }
        if !prepared.needs_answer {
            return Ok(());
        }
        if sink.overflowed() {
            let text = "the body is longer than what is kept for checks (limits.body)";
            return Err(Failure::new(ErrorKind::Check, text));
        }
        let latency = Duration::from_nanos(self.sample.end.saturating_sub(sent));
        http1::with_headers(parser.head_bytes(), |headers| {
            let answer = Answer { status, headers, body: sink.body(), latency };
            let mut failed = None;
            for (number, check) in prepared.step.checks.iter().enumerate() {
                let result = check.test(&answer, &mut user.vars);
                let failure = result.as_ref().err().map(String::as_str);
                user.worker.recorder.borrow_mut().checked(prepared.id, due, number, failure);
                if let Err(text) = result {
                    failed.get_or_insert(Failure::new(ErrorKind::Check, text));
                }
            }
            if let Some(failure) = failed {
                return Err(failure);
            }
            for extract in &prepared.step.extracts {
                extract
                    .apply(&answer, &mut user.vars)
                    .map_err(|text| Failure::new(ErrorKind::Extract, text))?;
            }
            Ok(())
        })
    }
}
