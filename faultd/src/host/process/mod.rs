//! Processes: what they are and which of them a target means.

pub mod pidfd;
mod pids;
pub mod stat;

pub use pids::pids;
