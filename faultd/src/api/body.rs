//! Reading requests: bounded in size and time, errors as problems.

use std::time::Duration;

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use faultd_api::{MAX_BODY_BYTES, Problem};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::problem::Refusal;

/// A client that takes longer to send its body is given up.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// A JSON body.
pub(super) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        check_media_type(request.headers())?;
        let body = Limited::new(request.into_body(), MAX_BODY_BYTES);
        let Ok(read) = tokio::time::timeout(BODY_PATIENCE, body.collect()).await else {
            return Err(Refusal::invalid(
                StatusCode::REQUEST_TIMEOUT,
                format!("the body did not arrive within {} s", BODY_PATIENCE.as_secs()),
            ));
        };
        let bytes = match read {
            Ok(body) => body.to_bytes(),
            Err(e) if e.is::<LengthLimitError>() => {
                let status = StatusCode::PAYLOAD_TOO_LARGE.as_u16();
                let detail = format!("the body is over {MAX_BODY_BYTES} bytes");
                return Err(Refusal(Problem::new("too-large", "Too large", status, detail)));
            }
            Err(e) => {
                let detail = format!("the body could not be read: {e}");
                return Err(Refusal::invalid(StatusCode::BAD_REQUEST, detail));
            }
        };
        serde_json::from_slice(&bytes).map(Self).map_err(|e| {
            Refusal::invalid(StatusCode::BAD_REQUEST, format!("the body is malformed: {e}"))
        })
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    // A client that does not say sends JSON: there is nothing else to send.
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::invalid(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!(
            "the body must be application/json, got {text:?}; with curl, add \
             `-H 'content-type: application/json'`"
        ),
    ))
}

/// A query string.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(value)| Self(value)).map_err(|e| {
            let text = e.body_text();
            let cause = text.rsplit_once("string: ").map_or(text.as_str(), |(_, cause)| cause);
            let detail = format!("the query string is malformed: {cause}");
            Refusal::invalid(StatusCode::BAD_REQUEST, detail)
        })
    }
}

/// The id in a path.
pub(super) struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        read.map(|Path(id)| Self(id)).map_err(|e| {
            let detail = format!("the path is malformed: {}", e.body_text());
            Refusal::invalid(StatusCode::BAD_REQUEST, detail)
        })
    }
}
