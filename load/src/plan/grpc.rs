//! What a step sends over gRPC.

use prost_reflect::MethodDescriptor;

use super::{Scheme, StatusRange, Target};
use crate::template::Template;

/// A call: unary, or with a stream of messages as its answer.
#[derive(Debug, Clone)]
pub struct GrpcRequest {
    /// Where it goes.
    pub target: Target,
    /// Plain or through TLS.
    pub scheme: Scheme,
    /// Which method, and what its messages look like.
    pub schema: GrpcSchema,
    /// The message as JSON, as the templates in it are filled.
    pub message: Template,
    /// The message as it was written, with its templates as texts.
    pub written: serde_json::Value,
    /// Names in lower case and values, in order; those of `-bin` names are base64.
    pub metadata: Vec<(String, Template)>,
    /// Statuses that count as success, as [`crate::protocol::grpc::status`] counts them.
    pub expect: Vec<StatusRange>,
    /// Checks see all messages of a stream as one array, and not the last message alone.
    pub collect: bool,
    /// Where it was written, for what is found out before the run: `shop.yaml:9:15`; may be empty.
    pub place: String,
}

/// Where the description of a method comes from.
#[derive(Debug, Clone)]
pub enum GrpcSchema {
    /// From .proto files.
    Known(MethodDescriptor),
    /// From the server, which is asked before the run for the method of this name:
    /// `shop.v1.Cart/Add`.
    Reflection(String),
}
