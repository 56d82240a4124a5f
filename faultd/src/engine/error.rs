//! Why the engine could not do what was asked.

use crate::engine::plan::PlanError;

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The request could not be planned; nothing was changed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No fault of that id, neither now nor in the history.
    #[error("there is no fault {0}; `faultctl list --all` shows those that exist")]
    NoSuchFault(String),
    /// Its time was up before it could start.
    #[error("the fault was over ({0}) before it could be applied; ask for a longer --for")]
    TooLate(faultd_api::Span),
    /// There is nothing to confirm.
    #[error("{0} has no lease to confirm; it ends at its time")]
    NoLease(String),
    /// The fault is not in force any more.
    #[error("{0} is over; `faultctl show {0}` tells why")]
    Over(String),
    /// A limit of the policy was reached.
    #[error("{0}")]
    Limit(String),
    /// A step failed; those before it were taken back.
    #[error("{id} could not be applied: {message}")]
    Failed {
        /// The fault, in the history by now.
        id: String,
        /// What failed, and what could not be taken back, if anything.
        message: String,
    },
    /// The daemon is on its way out.
    #[error("the daemon is stopping")]
    Stopping,
}
