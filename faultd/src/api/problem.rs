//! Every error of the API as a problem document (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use faultd_api::{Invalid, Problem};

use crate::{
    config::Denied,
    engine::{EngineError, plan::PlanError},
};

/// A call that brought no result.
#[derive(Debug)]
pub(super) struct Refusal(pub Problem);

impl Refusal {
    pub(super) fn invalid(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Problem::new("invalid", "Invalid request", status.as_u16(), detail))
    }

    pub(super) fn failed(detail: impl Into<String>) -> Self {
        Self::of("failed", "Failed", StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    pub(super) fn no_such_fault(id: &str) -> Self {
        EngineError::NoSuchFault(id.to_owned()).into()
    }

    fn of(kind: &str, title: &str, status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Problem::new(kind, title, status.as_u16(), detail))
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        // What has no option of its own on the command line is not shown as one.
        let detail = match invalid.field.as_str() {
            "params" | "kind" | "target" => format!("{} {}", invalid.field, invalid.message),
            _ => invalid.to_string(),
        };
        let mut refusal = Self::invalid(StatusCode::BAD_REQUEST, detail);
        refusal.0.field = Some(invalid.field);
        refusal
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::of("not-permitted", "Not permitted", StatusCode::FORBIDDEN, denied.to_string())
    }
}

impl From<PlanError> for Refusal {
    fn from(error: PlanError) -> Self {
        let text = error.to_string();
        match error {
            PlanError::Invalid(invalid) => invalid.into(),
            PlanError::Unsupported(_) => Self::of(
                "not-supported",
                "Not supported on this host",
                StatusCode::NOT_IMPLEMENTED,
                text,
            ),
            PlanError::Unsafe(_) => {
                Self::of("unsafe", "A safety rail stands in the way", StatusCode::FORBIDDEN, text)
            }
            PlanError::Host(_) => Self::failed(text),
        }
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::Plan(error) => error.into(),
            EngineError::NoSuchFault(_) => {
                Self::of("no-such-fault", "No such fault", StatusCode::NOT_FOUND, text)
            }
            EngineError::NoLease(_) => {
                Self::of("invalid", "There is no lease", StatusCode::CONFLICT, text)
            }
            EngineError::Over(_) | EngineError::TooLate(_) => {
                Self::of("failed", "Too late", StatusCode::CONFLICT, text)
            }
            EngineError::Limit(_) => {
                Self::of("not-permitted", "Not permitted", StatusCode::FORBIDDEN, text)
            }
            EngineError::Failed { .. } => Self::failed(text),
            EngineError::Stopping => {
                Self::of("failed", "Stopping", StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, kind)], body).into_response()
    }
}
