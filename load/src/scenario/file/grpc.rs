//! Calls over gRPC.

use faultd_api::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::read::{Located, OneOrMany, Ordered, Placed};

/// A call over gRPC, unary or with a stream of messages as its answer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcFile {
    /// Service and method: `shop.v1.Cart/Add`.
    pub method: Located<String>,
    /// The message, as JSON has it; its texts are templates [default: an empty one].
    pub message: Option<Located<Placed>>,
    /// Metadata; its values are templates. Values of names that end in `-bin` are base64.
    pub metadata: Ordered<Located<String>>,
    /// Checks see all messages of a stream as one array, and not the last message alone.
    pub collect: bool,
    /// `HOST:PORT`, or `unix:/path/to.sock` [default: `grpc.address`].
    pub address: Option<Located<String>>,
    /// The .proto files that describe the method, relative to the scenario.
    pub proto: Option<Located<OneOrMany>>,
    /// Directories in which imported files are looked for, relative to the scenario.
    pub include: Option<OneOrMany>,
    /// Ask the server before the run what the method looks like.
    pub reflection: Option<Located<bool>>,
    /// Through TLS.
    pub tls: Option<bool>,
    /// Through TLS, with any certificate.
    pub insecure: Option<bool>,
}

/// What all calls over gRPC have in common.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcDefaultsFile {
    /// `HOST:PORT`, or `unix:/path/to.sock`.
    pub address: Option<Located<String>>,
    /// The .proto files that describe the methods, relative to the scenario.
    pub proto: Option<Located<OneOrMany>>,
    /// Directories in which imported files are looked for, relative to the scenario.
    pub include: Option<OneOrMany>,
    /// Ask servers before the run what their methods look like.
    pub reflection: Option<Located<bool>>,
    /// Metadata of every call that does not have it itself.
    pub metadata: Ordered<Located<String>>,
    /// How long an answer may take [default: 30s].
    pub timeout: Option<Span>,
    /// Through TLS.
    pub tls: bool,
    /// Through TLS, with any certificate.
    pub insecure: bool,
}
