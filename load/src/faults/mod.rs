//! The timeline of faults, driven through the daemon.
//!
//! A thread a fault: it waits for its moment, has the daemon inject, renews the lease until the
//! fault's time is up, and asks when it really ended. The daemon's own stamps (CLOCK_MONOTONIC, the
//! clock of the run) say where a fault began and ended, and there the phases are cut.
//!
//! Invariants:
//! - A fault of ours outlives us by its lease at most; when the run ends early it is taken back.
//! - A fault that could not be injected is reported, and ends the run.

mod active;
mod driver;
mod phases;
mod settle;

pub use active::Active;
pub use driver::{Broken, Driver, DriverError, Running};
pub use settle::settle;
