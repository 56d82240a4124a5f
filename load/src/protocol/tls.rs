//! TLS, by rustls.

use std::{io, path::Path, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct,
    InvalidMessage, RootCertStore, SignatureScheme, WantsVerifier,
    client::{
        WantsClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::net::{Plain, TargetError};
use crate::{
    measure::{ErrorKind, Failure},
    plan::TlsFiles,
};

/// What is needed for handshakes with one target.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// For the server `host`, whose certificate is verified or not; the protocols `alpn` are
    /// offered (RFC 7301), if any.
    ///
    /// # Errors
    /// The name is none that a certificate can have, or one of `files` is of no use.
    pub fn new(
        host: &str,
        verify: bool,
        alpn: &[&[u8]],
        files: &TlsFiles,
    ) -> Result<Self, TargetError> {
        let failed = |reason: String| TargetError::Tls { host: host.to_owned(), reason };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|e| failed(e.to_string()))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(e.to_string()))?;
        let any = (!verify).then(|| Arc::new(AnyCertificate(provider)));
        let builder = trusting(builder, any, files.ca.as_deref()).map_err(failed)?;
        let mut config = match &files.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain_read = certificates(chain).map_err(failed)?;
                let key_read = PrivateKeyDer::from_pem_file(key)
                    .map_err(|e| failed(format!("{}: {}", key.display(), pem_words(&e))))?;
                builder.with_client_auth_cert(chain_read, key_read).map_err(|e| {
                    failed(format!("{} and {}: {e}", chain.display(), key.display()))
                })?
            }
        };
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Shakes hands over `plain`.
    ///
    /// # Errors
    /// Why the server or its certificate was refused.
    pub async fn handshake(&self, plain: Plain) -> Result<TlsStream<Plain>, Failure> {
        self.connector.connect(self.name.clone(), plain).await.map_err(|e| {
            if e.raw_os_error().is_some() {
                return Failure::broken(&e);
            }
            match e.get_ref().and_then(|e| e.downcast_ref()) {
                Some(rustls::Error::InvalidMessage(
                    InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
                )) => Failure::new(ErrorKind::Tls, "the server does not speak TLS on this port"),
                Some(error) => Failure::new(ErrorKind::Tls, words(error)),
                None if e.kind() == io::ErrorKind::UnexpectedEof => Failure::new(
                    ErrorKind::Tls,
                    "the server closed the connection in the TLS handshake: it may not speak TLS \
                     on this port",
                ),
                None => Failure::new(ErrorKind::Tls, e.to_string()),
            }
        })
    }
}

/// Takes any certificate if there is an `any` for that, else those that `ca` has signed, else those
/// of the public authorities.
fn trusting(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    any: Option<Arc<AnyCertificate>>,
    ca: Option<&Path>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    if let Some(any) = any {
        return Ok(builder.dangerous().with_custom_certificate_verifier(any));
    }
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
    }
    Ok(builder.with_root_certificates(roots))
}

/// The certificates in a file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |e: pem::Error| format!("{}: {}", path.display(), pem_words(&e));
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(failed)?.collect();
    let found = found.map_err(failed)?;
    if found.is_empty() {
        return Err(format!("{}: there is no certificate in PEM in it", path.display()));
    }
    Ok(found)
}

fn pem_words(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is no private key in PEM in it".into(),
        other => format!("not PEM: {other}"),
    }
}

/// Why TLS failed, for people.
#[must_use]
pub fn words(error: &rustls::Error) -> String {
    use rustls::Error;
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is signed by nobody that is trusted: give its authority (ca) \
             or take any certificate (insecure)"
                .into()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("the server's certificate is for another name: {error}"),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => format!("the server's certificate has expired: {error}"),
        Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            "the server's certificate is one of an authority (CA:TRUE), not of a server: take any \
             certificate (insecure)"
                .into()
        }
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            format!("the server's certificate is not valid: {other}")
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client's certificate (cert, key)".into()
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::DecryptError
            | AlertDescription::CertificateUnknown,
        ) => format!("the server refuses this client's certificate: {error}"),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::NoApplicationProtocol => {
            format!("the server does not speak this version of HTTP: {error}")
        }
        other => other.to_string(),
    }
}

/// Takes every certificate; signatures are still verified.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::OtherError;

    use super::*;

    #[test]
    fn certificates_are_told_of_in_words() {
        #[derive(Debug, thiserror::Error)]
        #[error("CaUsedAsEndEntity")]
        struct Refused;
        let other = CertificateError::Other(OtherError(Arc::new(Refused)));
        let text = words(&rustls::Error::InvalidCertificate(other));
        assert!(text.starts_with("the server's certificate is one of an authority"), "{text}");
    }
}
