//! HTTP/1.1 (RFC 9112), written for load: one read and one write a request, no task and no buffer
//! a connection.

mod chunked;
mod client;
mod head;
mod parse;
mod wire;

pub use client::{Broken, Connection, Times};
pub use head::with_headers;
pub use parse::{Parser, Progress, Sink};
pub use wire::{authority, authority_of, write_request};
