//! Network faults.

pub mod plane;
