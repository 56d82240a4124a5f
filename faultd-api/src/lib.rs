//! The control API of faultd: what travels over the Unix socket.
//!
//! Every other face of the API is derived from these types: the command line
//! (`clap::Args` behind the `cli` feature), the OpenAPI document and the
//! scenario schema (`schemars`), and the pages of the catalogue. A field that
//! is added here appears in all of them.
//!
//! Invariants:
//! - Nothing in this crate touches the system; [`Invalid`] is the only error.
//! - A value that passed [`FaultRequest::validate`] is well formed; whether it
//!   makes sense on a host is the daemon's to say.

mod call;
mod catalog;
mod duration;
mod errno;
mod fault;
mod invalid;
mod params;
mod ports;
mod problem;
mod query;
mod report;
mod target;
mod unique;

#[cfg(feature = "client")]
pub mod client;

pub use call::Call;
pub use catalog::{CATALOG, KindInfo};
pub use duration::Span;
pub use errno::Errno;
pub use fault::{
    Achieved, Counters, EndReason, Fault, FaultRequest, Owner, ProcessOutcome, RawRequest, State,
};
pub use invalid::Invalid;
pub use params::{
    Distribution, KillParams, Kind, LatencyParams, LossParams, OomParams, Params, PartitionParams,
    PauseParams, Pick, SignalName, SyscallParams, gemodel::GeModel,
};
pub use ports::{PortRange, PortSet};
pub use problem::Problem;
pub use query::{EventsQuery, ListQuery};
pub use report::{
    BackendStatus, Capabilities, Event, EventKind, Explain, ExplainRule, FaultList, Health,
    HitProcess, HitSocket, Hits, KindCapability, Leftover, Plan, PlanStep, Support,
};
pub use target::{Direction, Proto, Target};

/// Bodies over this many bytes are refused with 413.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// `--for` when none is given.
pub const DEFAULT_FOR: Span = Span::from_secs(60);
/// Where the daemon listens when nothing else is said.
pub const DEFAULT_SOCKET: &str = "/run/faultd/faultd.sock";
/// Header in which a client repeats its SSH_CONNECTION, so that the session
/// survives even when the daemon cannot read the caller's environment.
pub const SSH_CONNECTION_HEADER: &str = "faultd-ssh-connection";
