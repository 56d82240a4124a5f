//! The clients that speak to targets.

mod answer;
pub mod grpc;
pub mod http1;
pub mod http2;
pub mod net;
mod tls;

pub use answer::Answer;
