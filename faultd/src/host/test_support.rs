//! For privileged unit tests: namespaces that vanish with their last user.

use std::thread;

use nix::sched::{CloneFlags, unshare};

use super::netns::Netns;

/// Says why a test did not run; the test tiers count these lines.
pub(crate) fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// A fresh network namespace that lives as long as the value, or `None`
/// without the privilege.
pub(crate) fn private_netns() -> Option<Netns> {
    thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).ok()?;
        Netns::current().ok()
    })
    .join()
    .ok()
    .flatten()
}
