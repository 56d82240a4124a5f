//! Faults on processes themselves. One file a kind; the rest is what they have
//! in common: whom they hit ([`aim`]), and a thread beside a fault that lasts
//! ([`watch`]).
//!
//! Invariants:
//! - A process is named by id and start time, or held by descriptor; never by
//!   its id alone.
//! - What a target means is decided in `host::process`; whom a rail protects,
//!   in [`aim`]. Processes that come later go the same way.

mod aim;
mod kill;
mod oom;
mod pause;
mod watch;

use std::collections::BTreeSet;

use faultd_api::Target;

pub use kill::Kill;
pub use oom::{Oom, charge};
pub use pause::Pause;

use crate::host::process;

/// What of `query` a fault on the processes of `target` meets, for `explain`:
/// `all`, or which part; `None` when they never meet. A query that names
/// traffic alone meets none.
fn covers(target: &Target, query: &Target) -> Option<String> {
    if *query == Target::default() {
        return Some(format!("only {target}"));
    }
    let pids = |target: &Target| -> Option<BTreeSet<u32>> {
        let resolved = process::resolve_acting(target, true).ok()?;
        Some(resolved.processes.iter().map(|p| p.pid).collect())
    };
    let (ours, asked) = (pids(target)?, pids(query)?);
    match asked.intersection(&ours).count() {
        0 => None,
        n if n == asked.len() => Some("all".to_owned()),
        _ => Some(format!("only {target}")),
    }
}
