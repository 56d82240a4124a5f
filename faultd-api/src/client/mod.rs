//! The blocking client: one method a call of the API.
//!
//! A connection serves one call; the daemon is on the same host, so a
//! connection costs some tens of microseconds and no state can go stale
//! between calls. Errors are typed by what a caller can do about them.
//!
//! Must not be used inside an asynchronous runtime: calls block.

mod error;
mod events;
mod sse;
mod transport;

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::Method;
use serde::{Serialize, de::DeserializeOwned};

pub use error::{ClientError, Unreachable};
pub use events::{Events, Next};

use crate::{Capabilities, Explain, Fault, FaultList, FaultRequest, Health, Plan, Target};
use transport::Transport;

/// A call that only looks waits this long for its answer.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A call that changes something may have to resolve names and wait for the
/// kernel first.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one daemon.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    read_timeout: Duration,
    change_timeout: Duration,
}

impl Client {
    /// A client of the daemon behind `socket`; nothing is sent yet.
    ///
    /// `SSH_CONNECTION` of this process goes along with every call, so that
    /// the daemon can spare the caller's own session.
    ///
    /// # Errors
    /// When this process has no descriptors left for an event loop.
    pub fn new(socket: impl Into<PathBuf>) -> Result<Self, ClientError> {
        let transport = Transport::new(socket.into(), env::var("SSH_CONNECTION").ok())?;
        Ok(Self { transport, read_timeout: READ_TIMEOUT, change_timeout: CHANGE_TIMEOUT })
    }

    /// Waits at most this long for any answer.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { read_timeout: timeout, change_timeout: timeout, ..self }
    }

    /// The socket that calls go to.
    pub fn socket(&self) -> &Path {
        self.transport.socket()
    }

    /// `POST /v1/faults`: returns when the fault is active.
    ///
    /// # Errors
    /// A [`ClientError::Problem`] says why the daemon refused or failed; after
    /// a time-out the fault may still come into force.
    pub fn create(&self, request: &FaultRequest) -> Result<Fault, ClientError> {
        self.send(Method::POST, "/v1/faults", Some(&request.to_raw()))
    }

    /// `POST /v1/plan`: what a request would do.
    ///
    /// # Errors
    /// As [`Client::create`] would, nothing being changed.
    pub fn plan(&self, request: &FaultRequest) -> Result<Plan, ClientError> {
        self.send(Method::POST, "/v1/plan", Some(&request.to_raw()))
    }

    /// `GET /v1/faults`, oldest first; with `all` those of the history too.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn list(&self, all: bool) -> Result<Vec<Fault>, ClientError> {
        let path = if all { "/v1/faults?all=true" } else { "/v1/faults" };
        self.get::<FaultList>(path).map(|list| list.faults)
    }

    /// `GET /v1/faults/{id}`.
    ///
    /// # Errors
    /// A problem `no-such-fault` when neither table nor history has it.
    pub fn show(&self, id: &str) -> Result<Fault, ClientError> {
        self.get(&fault_path(id))
    }

    /// `DELETE /v1/faults/{id}`: returns when the fault is taken back.
    ///
    /// # Errors
    /// A problem `no-such-fault` when neither table nor history has it.
    pub fn revert(&self, id: &str) -> Result<Fault, ClientError> {
        self.send::<(), _>(Method::DELETE, &fault_path(id), None)
    }

    /// `DELETE /v1/faults`: takes everything back and returns what that was.
    /// [`Fault::error`] tells of those of which something remains.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn revert_all(&self) -> Result<Vec<Fault>, ClientError> {
        self.send::<(), FaultList>(Method::DELETE, "/v1/faults", None).map(|list| list.faults)
    }

    /// `POST /v1/faults/{id}/confirm`: renews the fault's lease.
    ///
    /// # Errors
    /// A problem `no-such-fault`, or `invalid` when it has no lease.
    pub fn confirm(&self, id: &str) -> Result<Fault, ClientError> {
        let path = format!("{}/confirm", fault_path(id));
        self.send::<(), _>(Method::POST, &path, None)
    }

    /// `GET /v1/explain`: which faults the target meets.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn explain(&self, target: &Target) -> Result<Explain, ClientError> {
        let query = target.to_query();
        let path = if query.is_empty() { String::new() } else { format!("?{query}") };
        self.get(&format!("/v1/explain{path}"))
    }

    /// `GET /v1/events`: from now on without end, or (`follow` false) those
    /// that the daemon still holds.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn events(&self, follow: bool) -> Result<Events<'_>, ClientError> {
        let path = if follow { "/v1/events" } else { "/v1/events?follow=false" };
        let response = self.transport.stream(path, self.read_timeout)?;
        Ok(Events::new(&self.transport, response))
    }

    /// `GET /v1/capabilities`: what works on this host.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn capabilities(&self) -> Result<Capabilities, ClientError> {
        self.get("/v1/capabilities")
    }

    /// `GET /v1/health`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn health(&self) -> Result<Health, ClientError> {
        self.get("/v1/health")
    }

    /// `GET /v1/openapi.json`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn openapi(&self) -> Result<serde_json::Value, ClientError> {
        self.get("/v1/openapi.json")
    }

    /// `GET /metrics`, in Prometheus' text format.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn metrics(&self) -> Result<String, ClientError> {
        let body = self.transport.call(Method::GET, "/metrics", None, self.read_timeout)?;
        String::from_utf8(body.to_vec()).map_err(|e| ClientError::Protocol(e.to_string()))
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        decode(path, &self.transport.call(Method::GET, path, None, self.read_timeout)?)
    }

    fn send<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, ClientError> {
        let body = body
            .map(|b| serde_json::to_vec(b).map_err(|e| ClientError::Protocol(e.to_string())))
            .transpose()?;
        decode(path, &self.transport.call(method, path, body, self.change_timeout)?)
    }
}

fn decode<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|e| {
        ClientError::Protocol(format!("the answer to {path} is not what this client expects: {e}"))
    })
}

/// An id is user input: escaped, so that it names one path segment.
fn fault_path(id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    // Form encoding writes a space as `+`, which a path does not decode.
    format!("/v1/faults/{}", id.replace('+', "%20"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_in_their_path_segment() {
        assert_eq!(fault_path("f-7k2m9q"), "/v1/faults/f-7k2m9q");
        assert_eq!(fault_path("../health?x y+"), "/v1/faults/..%2Fhealth%3Fx%20y%2B");
    }
}
