//! Files that TLS needs.

use std::path::PathBuf;

use super::Builder;
use crate::{
    plan::TlsFiles,
    protocol::{net::TargetError, tls::Tls},
    scenario::read::{Located, Problem},
};

impl Builder<'_> {
    pub(super) fn tls(&self) -> Result<TlsFiles, Problem> {
        let http = &self.file.http;
        let path = |name: &Located<String>| -> PathBuf { self.dir.join(name.as_str()) };
        let identity = match (&http.cert, &http.key) {
            (Some(cert), Some(key)) => Some((path(cert), path(key))),
            (None, None) => None,
            (Some(alone), None) | (None, Some(alone)) => {
                let message = "`cert` and `key` go together";
                return Err(Problem::at(alone.place, message).within("http"));
            }
        };
        let files = TlsFiles { ca: http.ca.as_ref().map(path), identity };
        // A file that is of no use is better known now. Each on its own, to tell which it is.
        let ca = TlsFiles { identity: None, ..files.clone() };
        for (written, tried) in [(&http.ca, &ca), (&http.cert, &files)] {
            let Some(written) = written else { continue };
            if let Err(TargetError::Tls { reason, .. }) = Tls::new("localhost", true, &[], tried) {
                return Err(Problem::at(written.place, reason).within("http"));
            }
        }
        Ok(files)
    }
}
