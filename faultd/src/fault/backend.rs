//! Which backend serves a request, and whether the host has it.

use faultd_api::{BackendStatus, FaultRequest, Invalid, Support};

use crate::engine::plan::PlanError;

/// Refuses a backend that was insisted on but cannot serve the request.
///
/// # Errors
/// Unsupported, with the reason.
pub fn insist(
    request: &FaultRequest,
    chosen: &str,
    reason: &str,
    known: &[&str],
) -> Result<(), PlanError> {
    let Some(wanted) = request.backend.as_deref() else { return Ok(()) };
    if wanted == chosen {
        return Ok(());
    }
    if !known.contains(&wanted) {
        let message = format!("{wanted:?} is not one of {}", known.join(", "));
        return Err(Invalid::new("backend", message).into());
    }
    Err(PlanError::Unsupported(format!(
        "backend {wanted} cannot serve this target: {reason}; leave out --backend"
    )))
}

/// Refuses a backend that the probe found missing.
///
/// # Errors
/// Unsupported, with what is missing.
pub fn available(backends: &[BackendStatus], name: &str) -> Result<(), PlanError> {
    match backends.iter().find(|status| status.name == name) {
        Some(status) if status.support == Support::Yes => Ok(()),
        Some(status) => Err(PlanError::Unsupported(format!(
            "backend {name} does not work on this host: {}",
            status.detail
        ))),
        None => Err(PlanError::Unsupported(format!("there is no backend {name}"))),
    }
}
