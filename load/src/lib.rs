//! faultload: an honest load generator.
//!
//! A [`plan`] says what to send and when: stages of arrivals, each with a weighted mix of flows,
//! flows of steps. [`schedule`] turns its stages into exact times. The [`engine`] sends at those
//! times through the clients of [`protocol`], and [`measure`] records what came of it, from the
//! moment each request was *due*. [`probe`] is what asking the target beside the load, whether it
//! is there, has seen; [`fitness`] says whether this generator was able to judge.
//!
//! Invariants:
//!
//! - A request that was due is counted, whatever became of it: sent in time, sent late, failed, or
//!   never sent.
//! - What this machine could not do (descriptors, ports, memory, processor time) is never counted
//!   as the target's error.
//! - Memory does not grow with the number of requests.

// Printing by these macros ends in a panic when nobody reads or the disk is full.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod check;
pub mod cli;
pub mod compare;
pub mod engine;
pub mod extract;
pub mod faults;
pub mod figures;
pub mod fitness;
pub mod ledger;
pub mod measure;
pub mod plan;
pub mod probe;
pub mod protocol;
pub mod report;
pub mod scenario;
pub mod schedule;
pub mod spool;
pub mod summary;
pub mod template;
pub mod threshold;
pub mod words;

#[cfg(test)]
mod sample;
