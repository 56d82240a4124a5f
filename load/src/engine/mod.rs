//! The part that executes a plan.
//!
//! One thread a processor, each with an event loop of its own ([`worker`]); they share nothing but
//! the plan. Arrivals are dealt out by number and users likewise, so no thread waits for another.
//! In a worker every user is a task; in the open model a user is whoever carries an arrival.
//!
//! The coordinator ([`Run`]) starts them, gathers what they tell once a second, and stops them.

mod arrivals;
mod backlog;
mod clock;
mod closed;
mod exchange;
mod gather;
mod grpc;
mod limits;
mod outlets;
mod prepare;
mod probe;
mod progress;
mod readback;
mod reflection;
mod result;
mod run;
mod sequence;
mod sessions;
mod sink;
mod told;
mod user;
mod worker;

pub use clock::{Clock, Epoch, Timer};
pub use limits::{Limit, host_info, preflight};
pub use outlets::Outlets;
pub use prepare::{PrepareError, Prepared};
pub use progress::{Observer, Progress, Silent};
pub use result::targets;
pub use run::{EngineError, Outcome, Run, Stopper};
