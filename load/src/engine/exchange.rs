//! One attempt at a step: a connection, the request, the answer, what is expected of it.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use http::Request;

use super::{
    prepare::{Action, PreparedStep},
    sink::BodySink,
    user::User,
};
use crate::{
    measure::{ErrorKind, Failure, Sample, Traffic},
    plan::{Body, HttpRequest, HttpVersion, Scheme},
    protocol::{
        Answer,
        http1::{self, Connection, Parser},
        http2,
    },
    template::Template,
};

/// An idle connection that turns out to be closed after so long was closed for being idle, and
/// the request is sent again on a fresh one. One that was in use a moment ago is the target's
/// failure.
const IDLE: u64 = 500_000_000;

/// Arrivals that share a connection over HTTP/2 at most, if the server takes as many.
const MOST_STREAMS: usize = 100;

/// What is said of a body that no check can look at.
pub(super) const TOO_LONG: &str = "the body is longer than what is kept for checks (limits.body)";

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
            Action::Grpc { endpoint, call } => self.grpc(*endpoint, call).await,
            Action::Http { endpoint, request, wire, idempotent } => match request.version {
                HttpVersion::Http1 => {
                    self.http1(*endpoint, request, wire.as_deref(), *idempotent).await
                }
                HttpVersion::Http2 => self.http2(*endpoint, request).await,
            },
            Action::Tcp { endpoint, request } => self.tcp(*endpoint, request).await,
            Action::Redis { endpoint, request } => self.redis(*endpoint, request).await,
            Action::Postgres { endpoint, request } => self.postgres(*endpoint, request).await,
        };
        if done.is_err() {
            self.sample.end = self.user.worker.clock.now();
        }
        done
    }

    async fn http1(
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
            let sent = self.sent();
            let attempt = self.on(&mut connection, request, wire).await;
            match attempt {
                Ok((parser, sink)) => {
                    if parser.keeps_alive() {
                        self.user.connections.push((endpoint, connection));
                    } else {
                        drop(connection);
                    }
                    let status = parser.status();
                    if !self.prepared.needs_answer {
                        return self.judge(request, status, &[], sink, sent);
                    }
                    return http1::with_headers(parser.head_bytes(), |headers| {
                        self.judge(request, status, headers, sink, sent)
                    });
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
        let opened = user.worker.prepared.endpoints[endpoint].connect().await;
        let stream = counted(opened, traffic, &mut user.refused)?;
        Ok(Connection::new(stream, &user.worker.connections))
    }

    /// Notes that the request is being sent now.
    pub(super) fn sent(&mut self) -> u64 {
        let sent = self.user.worker.clock.now();
        self.sample.first_sent.get_or_insert(sent);
        self.sample.sent = Some(sent);
        sent
    }

    /// Notes what went over a connection.
    pub(super) fn moved(&mut self, connection: &http2::Connection) {
        let (written, read) = connection.take_moved();
        self.sample.traffic.sent += written;
        self.sample.traffic.received += read;
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
        status: u16,
        headers: &[(&str, &[u8])],
        mut sink: BodySink,
        sent: u64,
    ) -> Result<(), Failure> {
        let (prepared, user, due) = (self.prepared, &mut *self.user, self.sample.due);
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
            return Err(Failure::new(ErrorKind::Check, TOO_LONG));
        }
        let latency = Duration::from_nanos(self.sample.end.saturating_sub(sent));
        self.verify(&Answer { status, headers, body: sink.kept(), latency })
    }

    /// Checks an answer, and takes out of it what later steps need.
    pub(super) fn verify(&mut self, answer: &Answer<'_>) -> Result<(), Failure> {
        let (prepared, user, due) = (self.prepared, &mut *self.user, self.sample.due);
        let mut failed = None;
        for (number, check) in prepared.step.checks.iter().enumerate() {
            let result = check.test(answer, &mut user.vars);
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
                .apply(answer, &mut user.vars)
                .map_err(|text| Failure::new(ErrorKind::Extract, text))?;
        }
        Ok(())
    }

    async fn http2(&mut self, endpoint: usize, request: &HttpRequest) -> Result<(), Failure> {
        let (head, body) = self.http2_request(request)?;
        let connection = self.http2_connection(endpoint).await?;
        let worker = Rc::clone(&self.user.worker);
        let now = || worker.clock.now();
        let sent = self.sent();
        let limit = worker.prepared.plan.limits.body;
        let mut sink = BodySink::new(self.prepared.needs_body.then_some(limit), request.streaming);
        let reply = connection.exchange(head, body, &mut sink, now, BodySink::arrived).await;
        self.moved(&connection);
        let reply = reply?;
        self.sample.status = reply.status;
        self.sample.first_byte = Some(reply.first_byte);
        self.sample.end = reply.end;
        let headers = reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        self.judge(request, reply.status, &headers.collect::<Vec<_>>(), sink, sent)
    }

    /// A request as HTTP/2 has it.
    fn http2_request(&mut self, request: &HttpRequest) -> Result<(Request<()>, Bytes), Failure> {
        let vars = &mut self.user.vars;
        let mut render = |template: &Template| {
            let mut out = Vec::new();
            let rendered = template.render(&mut out, vars);
            rendered.map_err(|e| Failure::new(ErrorKind::Template, e.to_string())).map(|()| out)
        };
        let path = render(&request.path)?;
        let mut authority = http1::authority(request);
        let mut headers = Vec::with_capacity(request.headers.len());
        for (name, value) in &request.headers {
            let value = render(value)?;
            if name.eq_ignore_ascii_case("host") {
                authority = String::from_utf8_lossy(&value).into_owned();
            } else {
                headers.push((name.to_ascii_lowercase(), value));
            }
        }
        let body = match &request.body {
            Body::Empty => Bytes::new(),
            Body::Bytes(bytes) => Bytes::copy_from_slice(bytes),
            Body::Template(template) => render(template)?.into(),
        };
        let scheme = if request.scheme == Scheme::Http { "http" } else { "https" };
        let head = http2::head(&request.method, scheme, &authority, &path, &headers)?;
        Ok((head, body))
    }

    /// A connection over HTTP/2 with room for one more request.
    pub(super) async fn http2_connection(
        &mut self,
        endpoint: usize,
    ) -> Result<Rc<http2::Connection>, Failure> {
        let worker = Rc::clone(&self.user.worker);
        let mut shared = None;
        let (pool, most) = if self.user.shares_connections() {
            (&mut **shared.insert(worker.multiplexed.lock().await), MOST_STREAMS)
        } else {
            (&mut self.user.multiplexed, 1)
        };
        pool.retain(|(_, connection)| !connection.is_closed());
        let fit =
            |entry: &&(usize, Rc<http2::Connection>)| entry.0 == endpoint && entry.1.has_room(most);
        if let Some((_, connection)) = pool.iter().find(fit) {
            self.sample.traffic.reused += 1;
            return Ok(Rc::clone(connection));
        }
        let opened = match worker.prepared.endpoints[endpoint].connect().await {
            Ok(stream) => http2::Connection::new(stream, &worker.connections).await,
            Err(failure) => Err(failure),
        };
        let opened = counted(opened, &mut self.sample.traffic, &mut self.user.refused)?;
        let connection = Rc::new(opened);
        pool.push((endpoint, Rc::clone(&connection)));
        Ok(connection)
    }
}

/// Counts a connection that was tried: in the traffic of its step, and for its user the refusals
/// in a row.
pub(super) fn counted<T>(
    opened: Result<T, Failure>,
    traffic: &mut Traffic,
    refused: &mut u32,
) -> Result<T, Failure> {
    if opened.is_ok() {
        traffic.opened += 1;
        *refused = 0;
    } else {
        traffic.refused += 1;
        *refused = refused.saturating_add(1);
    }
    opened
}
