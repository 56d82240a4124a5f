//! The ledger of writes: each that was acknowledged is noted, and after the load read back.
//!
//! Notes go to a file while the run goes on, so memory does not grow with it. A write whose
//! acknowledgement never came (a time-out, a connection that broke after the request was sent) is
//! noted as unknown: it may be there or not, and only there twice is wrong.

mod note;
mod tally;

pub use note::{Note, Notes, maybe_written};
pub(crate) use tally::{Found, Tally};
