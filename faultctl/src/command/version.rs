//! `version`: this program's and the daemon's.

use serde::Serialize;

use super::Context;
use crate::failure::Failure;

#[derive(Debug, Serialize)]
struct Versions {
    client: &'static str,
    daemon: Option<String>,
}

/// Prints what it can find out; fails like every other command when the
/// daemon cannot be asked.
pub fn run(cx: &mut Context) -> Result<(), Failure> {
    let client = env!("CARGO_PKG_VERSION");
    let health = cx.client()?.health();
    let daemon = health.as_ref().ok().map(|health| health.version.clone());
    if cx.out.wants_json() {
        cx.out.document(&Versions { client, daemon })?;
    } else {
        cx.out.line(format!("faultctl {client}"))?;
        cx.out.line(format!("faultd   {}", daemon.as_deref().unwrap_or("not known")))?;
    }
    cx.out.flush()?;
    health.map(drop).map_err(Failure::from)
}
