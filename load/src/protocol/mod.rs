//! The clients that speak to targets.

mod answer;
pub mod http1;
pub mod http2;
pub mod net;
pub(crate) mod tls;

pub use answer::Answer;
