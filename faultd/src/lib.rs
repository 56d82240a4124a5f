//! faultd, the fault-injection daemon. See ARCHITECTURE.md for the tour.

pub mod api;
pub mod chain;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod fault;
pub mod host;
pub mod leftovers;
pub mod logging;
