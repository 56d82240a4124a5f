//! Why a target cannot be used at all.

use std::io;

/// A target cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Its name has no address.
    #[error("{host}: no address: {}", resolver_words(.cause))]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        cause: io::Error,
    },
    /// TLS cannot be set up for it.
    #[error("{host}: TLS: {reason}")]
    Tls {
        /// The name.
        host: String,
        /// Why not.
        reason: String,
    },
}

/// What the resolver said, without what is said already.
fn resolver_words(error: &io::Error) -> String {
    let text = error.to_string();
    let doubled = "failed to lookup address information: ";
    text.strip_prefix(doubled).map_or(text.clone(), str::to_owned)
}
