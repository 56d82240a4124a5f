//! gRPC over HTTP/2 (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>): unary calls
//! and server streaming, with messages written and read as JSON (the proto3 JSON mapping).
//!
//! What a message looks like comes from .proto files ([`schema`]) or from the server itself
//! ([`reflect`]); a [`Call`] is made of it once, before the run.

mod call;
mod fit;
mod frame;
mod reflect;
mod reply;
pub mod schema;
pub mod status;

pub use call::{Call, set_timeout};
pub use fit::{Misfit, fit};
pub use frame::{Keep, Messages};
pub use reflect::{ReflectError, Reflection};
pub use reply::{Reply, exchange};
