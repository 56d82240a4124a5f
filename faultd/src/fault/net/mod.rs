//! Network faults.
