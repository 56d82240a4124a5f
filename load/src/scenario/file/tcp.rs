//! Bytes over plain connections.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::scenario::read::{Amount, Located};

/// Bytes over TCP or a Unix socket. One of `until`, `until_match`, `until_close`, `length` and
/// `length_prefix` says what ends the answer; without them none is awaited.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpFile {
    /// `HOST:PORT`, or `unix:/path/to.sock`.
    pub address: Located<String>,
    /// What is sent; a template.
    #[serde(default)]
    pub send: Option<Located<String>>,
    /// What is sent, in hexadecimal: `00 1f ff`.
    #[serde(default)]
    pub send_hex: Option<Located<String>>,
    /// The answer ends with this, which checks do not see.
    #[serde(default)]
    pub until: Option<Located<String>>,
    /// The answer ends where this regular expression first matches.
    #[serde(default)]
    pub until_match: Option<Located<String>>,
    /// The answer ends with the connection.
    #[serde(default)]
    pub until_close: bool,
    /// The answer has this many bytes.
    #[serde(default)]
    pub length: Option<Located<Amount>>,
    /// The answer begins with its length in this many bytes (1, 2, 4 or 8), the most significant
    /// first; they do not count themselves, and checks do not see them.
    #[serde(default)]
    pub length_prefix: Option<Located<u8>>,
    /// On a connection of its own [default: the user's, which stays open].
    #[serde(default)]
    pub fresh: bool,
    /// Through TLS.
    #[serde(default)]
    pub tls: bool,
    /// Take any TLS certificate.
    #[serde(default)]
    pub insecure: bool,
}
