//! Network faults.

pub mod line;
pub mod plane;
