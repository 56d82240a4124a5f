//! Plain clients and servers. They know nothing of faultd.

mod bulk;
mod echo;
mod ping;
mod sequence;

pub use bulk::{BulkSource, bulk_rate};
pub use echo::{TcpEcho, UdpEcho, echo};
pub use ping::{Pinger, median, percentile, spread_delays};
pub use sequence::{address, deliver, lost, receiver, sender_to};
