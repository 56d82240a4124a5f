//! One attempt at a call over gRPC.

use std::{rc::Rc, time::Duration};

use super::exchange::Attempt;
use crate::{
    measure::{ErrorKind, Failure},
    protocol::{
        Answer,
        grpc::{Call, Keep, Messages, exchange, set_timeout, status},
    },
};

impl Attempt<'_> {
    pub(super) async fn grpc(&mut self, endpoint: usize, call: &Call) -> Result<(), Failure> {
        let worker = Rc::clone(&self.user.worker);
        let now = || worker.clock.now();
        let began = now();
        let mut head = call.head(&mut self.user.vars)?;
        let body = call.body(&mut self.user.vars)?;
        let connection = self.http2_connection(endpoint).await?;
        let sent = self.sent();
        // What the connection took is not the server's any more.
        let used = Duration::from_nanos(sent.saturating_sub(began));
        set_timeout(&mut head, self.prepared.step.timeout.saturating_sub(used));
        let keep = if self.prepared.needs_body { call.keeps() } else { Keep::None };
        let limit = worker.prepared.plan.limits.body;
        let mut messages = Messages::new(keep, limit, call.streaming);
        let reply = exchange(&connection, head, body, &mut messages, now).await;
        self.moved(&connection);
        let reply = reply?;
        self.sample.status = reply.status;
        self.sample.first_byte = Some(reply.first_byte);
        self.sample.end = reply.end;
        if let Some(times) = messages.times() {
            let (id, due) = (self.prepared.id, self.sample.due);
            worker.recorder.borrow_mut().streamed(id, due, times);
        }
        reply.is_complete(&messages, call.streaming)?;
        if !call.expect.iter().any(|range| range.contains(&reply.status)) {
            // The server was told how much time there is: who notices first that it is up is chance.
            let kind = match reply.status {
                status::DEADLINE_EXCEEDED => ErrorKind::Timeout,
                _ => ErrorKind::Status,
            };
            return Err(Failure::new(kind, reply.text()));
        }
        if !self.prepared.needs_answer {
            return Ok(());
        }
        if messages.overflowed() {
            let text = "the messages are longer than what is kept for checks (limits.body)";
            return Err(Failure::new(ErrorKind::Check, text));
        }
        let body = match reply.status {
            status::OK if self.prepared.needs_body => call.json(messages.kept())?,
            _ => Vec::new(),
        };
        let headers = reply.metadata().collect::<Vec<_>>();
        let latency = Duration::from_nanos(self.sample.end.saturating_sub(sent));
        self.verify(&Answer { status: reply.status, headers: &headers, body: &body, latency })
    }
}
