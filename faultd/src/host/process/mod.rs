//! Processes: what they are and which of them a target means.

pub mod pidfd;
pub mod stat;
