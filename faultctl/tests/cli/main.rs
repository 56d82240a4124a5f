//! faultctl as a whole process, against a daemon that answers what the test
//! tells it to.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

mod fake;
mod inject;
mod offline;
mod query;
mod revert;
mod usage;
mod wait;
mod watch;
