//! The control API: HTTP/1.1 and JSON over a Unix socket.
//!
//! Invariants:
//! - Whoever connects is known by the credentials that the kernel noted, and
//!   nothing is answered before the policy was asked.
//! - Every route is one line of [`routes::ROUTES`], from which the router and
//!   the OpenAPI document are made.
//! - Every error that this code can name is a problem document (RFC 9457).
//! - Requests are bounded: size, time, connections in all and of one user.

mod access;
mod body;
mod events;
mod handlers;
mod listen;
mod metrics;
mod openapi;
mod peer;
mod problem;
mod routes;
mod serve;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::watch;

pub use listen::{ListenError, Listener};
pub use serve::Server;

use crate::{
    config::Policy,
    engine::{Engine, guardian::GuardianStatus},
};
use metrics::Requests;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

struct Shared {
    engine: Engine,
    policy: Policy,
    guardian: Arc<GuardianStatus>,
    requests: Requests,
    /// Ends event streams when the daemon stops.
    stopping: watch::Receiver<bool>,
}
