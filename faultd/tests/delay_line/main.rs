//! The delay line on real traffic, in private network namespaces, fed by a
//! small classifier of its own.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod classifier;
mod lifecycle;
mod loopback;
mod setup;
mod throughput;
mod timing;
mod wire;
