//! Fixtures and independent measurements for the tests that need root.
//!
//! A test here never takes faultd's word for what faultd did: round trips are
//! measured by plain sockets, losses by sequence numbers, left-overs by what
//! `ip`, `tc` and bpf(2) report.
//!
//! Invariants:
//! - Every test runs in network namespaces of its own ([`World`]), so tests run
//!   side by side and the machine's own network is never touched.
//! - Every [`World`] ends with the residue check: whatever was there before is
//!   there again, and nothing else.
//! - Fixtures panic when a step fails; in a test there is nobody to hand an
//!   error to.
//! - Only iproute2 is needed beside the binaries under test, so the same
//!   executables run in the guests of the VM tier.
#![expect(clippy::expect_used, reason = "a fixture that cannot be set up fails the test")]

pub mod bpf;
pub mod cgroup;
pub mod clock;
pub mod command;
pub mod ctl;
pub mod daemon;
pub mod herd;
pub mod hog;
pub mod http;
pub mod netns;
pub mod process;
pub mod residue;
pub mod stats;
pub mod store;
pub mod traffic;
pub mod victim;
pub mod wait;
pub mod wire;
pub mod world;

pub use ctl::Outcome;
pub use daemon::Daemon;
pub use herd::Herd;
pub use hog::Hog;
pub use netns::{Netns, Peer};
pub use store::Store;
pub use victim::Victim;
pub use wait::{eventually, slow, slowly, stretched};
pub use world::World;

/// Whether this is the VM tier.
pub fn in_a_guest() -> bool {
    std::env::var("FAULTD_TEST_TIER").is_ok_and(|tier| tier == "vm")
}

/// Ends the test here and says why; the runner counts these lines, and CI
/// counts them as failures.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        eprintln!("SKIPPED: {}", format_args!($($reason)*));
        return;
    }};
}

/// Ends a test that this kernel cannot run and that the VM tier runs instead.
/// Inside the VM tier (`FAULTD_TEST_TIER=vm`) that is a failure.
#[macro_export]
macro_rules! vm_only {
    ($($reason:tt)*) => {{
        let reason = format!($($reason)*);
        if $crate::in_a_guest() {
            panic!("the VM tier has to run this: {reason}");
        }
        eprintln!("LEFT TO THE VM TIER: {reason}");
        return;
    }};
}
