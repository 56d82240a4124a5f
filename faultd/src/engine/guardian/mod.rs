//! The guardian: a small process that takes effects back when the daemon
//! cannot.
//!
//! The daemon runs its own executable a second time (`faultd guardian`). The
//! two are tied by a pipe:
//! - The daemon writes the earliest deadline of its journal to it, eight bytes
//!   each time that changes. Should the daemon hang, the guardian replays what
//!   is overdue, [`GRACE_NS`] late.
//! - When the pipe ends without the word of leave, the daemon is dead, and the
//!   guardian replays everything at once.
//!
//! Invariants:
//! - The guardian changes nothing but what the journal says, and only for the
//!   daemon start (generation) that it was made for.
//! - It has no async runtime, no BPF and no network, and while nothing is
//!   pending it sleeps without a timer.
//! - A daemon without a guardian says so (health), and starts another at once.

mod child;
mod keeper;
mod status;

pub use child::run;
pub use keeper::Keeper;
pub use status::GuardianStatus;

/// How long after its deadline an undo is left to the daemon.
const GRACE_NS: u64 = 200_000_000;
/// Says that no undo is pending.
const NOTHING_PENDING: u64 = u64::MAX;
/// The word of leave: the daemon has taken everything back itself.
const LEAVE: u64 = 0;
