//! From a connection to one that is logged in.

use std::{collections::HashMap, fmt::Display};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
    },
    message::{backend::Message, frontend},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Connection, SqlError, next_message, wrong};
use crate::{
    measure::{ErrorKind, Failure},
    plan::PostgresServer,
    protocol::{
        net::{Endpoint, Stream},
        wire::{Now, Wire},
    },
};

/// Logs in over a fresh connection.
///
/// # Errors
/// The server does not let us in, or the connection broke.
pub async fn log_in(
    mut wire: Wire,
    server: &PostgresServer,
    now: Now<'_>,
) -> Result<Connection, Failure> {
    let mut out = BytesMut::new();
    let parameters = [
        ("user", server.user.as_str()),
        ("database", server.database.as_str()),
        ("application_name", "faultload"),
        ("client_encoding", "UTF8"),
    ];
    frontend::startup_message(parameters, &mut out).map_err(|e| refused(&e))?;
    wire.send(&out, now).await?;
    let mut scram: Option<ScramSha256> = None;
    loop {
        let Some(message) = next_message(&mut wire.input)? else {
            wire.fill_some(now).await?;
            continue;
        };
        let password = || {
            let missing = "refused: the server asks for a password and the scenario has none";
            let password = server.password.as_deref();
            password.ok_or_else(|| Failure::new(ErrorKind::Connect, missing))
        };
        out.clear();
        match message {
            Message::AuthenticationCleartextPassword => {
                frontend::password_message(password()?.as_bytes(), &mut out)
                    .map_err(|e| refused(&e))?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(server.user.as_bytes(), password()?.as_bytes(), body.salt());
                frontend::password_message(hash.as_bytes(), &mut out).map_err(|e| refused(&e))?;
            }
            Message::AuthenticationSasl(body) => {
                if !body
                    .mechanisms()
                    .any(|name| Ok(name == SCRAM_SHA_256))
                    .map_err(|e| wrong(&e))?
                {
                    return Err(refused(&"the server takes no SCRAM-SHA-256"));
                }
                let started =
                    ScramSha256::new(password()?.as_bytes(), ChannelBinding::unsupported());
                frontend::sasl_initial_response(SCRAM_SHA_256, started.message(), &mut out)
                    .map_err(|e| refused(&e))?;
                scram = Some(started);
            }
            Message::AuthenticationSaslContinue(body) => {
                let scram = scram.as_mut().ok_or_else(|| wrong(&"SASL goes on and never began"))?;
                scram.update(body.data()).map_err(|e| refused(&e))?;
                frontend::sasl_response(scram.message(), &mut out).map_err(|e| refused(&e))?;
            }
            Message::AuthenticationSaslFinal(body) => {
                let scram = scram.as_mut().ok_or_else(|| wrong(&"SASL ends and never began"))?;
                scram.finish(body.data()).map_err(|e| refused(&e))?;
            }
            Message::ErrorResponse(body) => return Err(refused(&SqlError::read(&body).text)),
            Message::ReadyForQuery(_) => {
                let (statements, named) = (HashMap::new(), 0);
                return Ok(Connection { wire, statements, named, in_transaction: false });
            }
            Message::AuthenticationOk
            | Message::BackendKeyData(_)
            | Message::ParameterStatus(_)
            | Message::NoticeResponse(_) => {}
            _ => {
                let text = "a way to log in that is not known (password, md5 and SCRAM are)";
                return Err(refused(&text));
            }
        }
        if !out.is_empty() {
            wire.send(&out, now).await?;
        }
    }
}

fn refused(why: &dyn Display) -> Failure {
    Failure::new(ErrorKind::Connect, format!("refused: {}", why))
}

/// Connects; with TLS the server is asked for it first.
///
/// # Errors
/// Nobody is there, or TLS could not be set up.
pub async fn connect(endpoint: &Endpoint) -> Result<Stream, Failure> {
    let mut plain = endpoint.connect_plain().await?;
    if endpoint.is_secure() {
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        plain.write_all(&request).await.map_err(|e| Failure::broken(&e))?;
        let answer = plain.read_u8().await.map_err(|e| Failure::broken(&e))?;
        if answer != b'S' {
            return Err(Failure::new(ErrorKind::Tls, "the server offers no TLS"));
        }
    }
    endpoint.secure(plain).await
}
