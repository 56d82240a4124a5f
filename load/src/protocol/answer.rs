//! What checks and extraction see of an answer.

use std::time::Duration;

/// An answer, whatever the protocol.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status; that of gRPC as [`super::grpc::status`] counts it; 0 where a protocol has
    /// none.
    pub status: u16,
    /// Names (as received) and values of its headers.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body; empty when neither a check nor an extraction of the step needs it.
    pub body: &'a [u8],
    /// From sending to the end of the answer.
    pub latency: Duration,
}

impl<'a> Answer<'a> {
    /// The first header of that name; case does not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|&(_, value)| value)
    }
}
