//! Network faults: they share the rule table, the attach points and the delay
//! line. One file a kind; the rest is what they have in common.

mod adapter;
mod explain;
mod hits;
mod latency;
pub mod line;
mod loss;
mod marks;
mod partition;
pub mod plane;
mod qdisc;
mod realtime;
mod rules;
mod space;
mod step;
mod target;

pub use latency::Latency;
pub use loss::Loss;
pub use marks::MARKS;
pub use partition::Partition;
pub use plane::{LOG_TARGET, LoadOptions};
pub use space::{Net, NetError};
