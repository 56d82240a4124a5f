//! The engine: the fault table, its state machine, deadlines, leases, journal.

pub mod clock;
pub mod journal;
pub mod plan;
