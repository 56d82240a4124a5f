//! TLS for real: a private authority, names, HTTP/2, clients with certificates.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

use bytes::Bytes;
use faultload::{
    scenario::{Options, Scenario, from_yaml},
    summary::{ScenarioInfo, Summary},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::oneshot,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::run;

/// Certificates made for one test, in PEM.
struct Certificates {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    /// An authority of its own, in `ca.pem`.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
        Self { dir, issuer: Issuer::new(params, key) }
    }

    /// Signs a certificate for `name`, in `NAME.pem` and `NAME.key`.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let path = |end| self.dir.path().join(format!("{name}.{end}"));
        fs::write(path("pem"), signed.pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        (path("pem"), path("key"))
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// A server with TLS on 127.0.0.1, until it is dropped: HTTP/1.1, and HTTP/2 if it is asked for.
struct Server {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// With a certificate for `name`; with `clients` it asks for theirs.
    fn start(certificates: &Certificates, name: &str, clients: bool) -> Self {
        let (chain, key) = certificates.sign(name);
        let chain = vec![CertificateDer::from_pem_file(chain).unwrap()];
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                let ca = certificates.path().join("ca.pem");
                roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (stop, mut stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            runtime.unwrap().block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => {
                            let (stream, _) = accepted.unwrap();
                            let acceptor = acceptor.clone();
                            tokio::spawn(async move {
                                let stream = acceptor.accept(stream).await?;
                                match stream.get_ref().1.alpn_protocol() {
                                    Some(b"h2") => http2(stream).await,
                                    _ => http1(stream).await,
                                }
                            });
                        }
                        _ = &mut stopped => return,
                    }
                }
            });
        });
        let port = told.recv().unwrap();
        Self { port, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.stop.take().unwrap().send(());
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn http1(mut stream: TlsStream<tokio::net::TcpStream>) -> io::Result<()> {
    let mut text = Vec::new();
    loop {
        if text.ends_with(b"\r\n\r\n") {
            text.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\none!").await?;
        }
        if stream.read_buf(&mut text).await? == 0 {
            return Ok(());
        }
    }
}

async fn http2(stream: TlsStream<tokio::net::TcpStream>) -> io::Result<()> {
    let mut connection = h2::server::handshake(stream).await.map_err(io::Error::other)?;
    while let Some(request) = connection.accept().await {
        let (_, mut respond) = request.map_err(io::Error::other)?;
        let mut body =
            respond.send_response(http::Response::new(()), false).map_err(io::Error::other)?;
        body.send_data(Bytes::from_static(b"two!"), true).map_err(io::Error::other)?;
    }
    Ok(())
}

fn scenario(dir: &Path, port: u16, http: &str, body: &str) -> Scenario {
    let text = format!(
        "
name: tls
target: https://127.0.0.1:{port}
http: {{ {http} }}
flows: {{ get: {{ steps: [{{ http: GET /, checks: [{{ body_equals: {body} }}] }}] }} }}
stages: [{{ for: 500ms, rate: 40/s }}]
probe: {{ http: {{ url: /, version: '1.1' }} }}
"
    );
    from_yaml("tls.yaml", &text, dir, &Options::default()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The result, and what the failures said.
fn asked(certificates: &Certificates, port: u16, http: &str, body: &str) -> (Summary, Vec<String>) {
    let outcome = run(&scenario(certificates.path(), port, http, body));
    let (summary, failures) = outcome.summary(ScenarioInfo::default(), String::new());
    (summary, failures.into_iter().map(|(_, _, text)| text).collect())
}

#[test]
fn a_private_authority_is_trusted_over_both_versions() {
    let certificates = Certificates::new();
    let server = Server::start(&certificates, "127.0.0.1", false);
    for (version, body) in [("1.1", "one!"), ("2", "two!")] {
        let http = format!("ca: ca.pem, version: '{version}'");
        let (summary, failures) = asked(&certificates, server.port, &http, body);
        assert_eq!((summary.total.ok, summary.total.failed), (20, 0), "{version}: {failures:?}");
        assert!(summary.total.connections.reused > 0, "{version}");
        let probe = &summary.probes[0];
        assert_eq!(probe.fresh.sent, probe.fresh.ok, "the probe trusts it too: {probe:?}");
    }
}

#[test]
fn who_is_not_trusted_is_a_failure_of_tls_that_says_why() {
    let certificates = Certificates::new();
    let right = Server::start(&certificates, "127.0.0.1", false);
    let other = Server::start(&certificates, "other.test", false);
    for (server, http, why) in [
        (&right, "timeout: 9s", "signed by nobody that is trusted: give its authority (ca)"),
        (&other, "ca: ca.pem", "for another name"),
    ] {
        for version in ["1.1", "2"] {
            let http = format!("{http}, version: '{version}'");
            let (summary, failures) = asked(&certificates, server.port, &http, "x");
            let total = &summary.total;
            assert_eq!(total.errors, [("tls".to_owned(), 20)].into(), "{failures:?}");
            assert_eq!(total.connections.failed, 20);
            assert!(failures.len() == 1 && failures[0].contains(why), "{failures:?}");
        }
    }
    let (summary, _) = asked(&certificates, other.port, "insecure: true", "one!");
    assert_eq!(summary.total.ok, 20, "whoever takes any certificate takes this one");
}

#[test]
fn a_server_may_ask_who_the_client_is() {
    let certificates = Certificates::new();
    let server = Server::start(&certificates, "127.0.0.1", true);
    let (summary, failures) = asked(&certificates, server.port, "ca: ca.pem", "one!");
    assert_eq!(summary.total.errors, [("tls".to_owned(), 20)].into(), "{failures:?}");
    assert!(failures[0].contains("asks for a client's certificate"), "{failures:?}");
    certificates.sign("me");
    let http = "ca: ca.pem, cert: me.pem, key: me.key";
    let (summary, failures) = asked(&certificates, server.port, http, "one!");
    assert_eq!(summary.total.ok, 20, "{failures:?}");
    let stranger = Certificates::new();
    stranger.sign("me");
    for end in ["pem", "key"] {
        let (from, to) = (stranger.path(), certificates.path());
        fs::copy(from.join(format!("me.{end}")), to.join(format!("me.{end}"))).unwrap();
    }
    let (summary, failures) = asked(&certificates, server.port, http, "one!");
    assert_eq!(summary.total.ok, 0, "{failures:?}");
}

#[test]
fn files_of_no_use_are_refused_before_the_run() {
    let certificates = Certificates::new();
    certificates.sign("me");
    fs::write(certificates.path().join("empty.pem"), "hello").unwrap();
    let error = |http: &str| {
        let text = format!(
            "name: x\nhttp:\n  {http}\ntarget: https://127.0.0.1:1\nflows: {{}}\nstages: []\n"
        );
        let loaded = from_yaml("x.yaml", &text, certificates.path(), &Options::default());
        let error = loaded.unwrap_err().to_string();
        error.lines().next().unwrap().replace(&certificates.path().display().to_string(), "DIR")
    };
    for (http, expected) in [
        ("ca: nosuch.pem", "x.yaml:3:7: DIR/nosuch.pem: No such file"),
        ("ca: empty.pem", "x.yaml:3:7: DIR/empty.pem: there is no certificate in PEM in it"),
        ("cert: me.pem", "x.yaml:3:9: `cert` and `key` go together"),
        ("{ cert: me.pem, key: empty.pem }", "x.yaml:3:11: DIR/empty.pem: there is no private key"),
    ] {
        let found = error(http);
        assert!(found.starts_with(expected), "{found}");
    }
}
