//! The clients that speak to targets.

mod answer;
mod greeting;
pub mod grpc;
pub mod http1;
pub mod http2;
pub mod net;
pub mod postgres;
pub mod redis;
pub mod tcp;
pub(crate) mod tls;
mod unusable;
pub mod wire;

pub use answer::Answer;
