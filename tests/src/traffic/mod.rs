//! Plain clients and servers. They know nothing of faultd.

mod bulk;
mod echo;
mod one_way;
mod ping;
mod priority;
mod sequence;

pub use bulk::{BulkSource, bulk_rate};
pub use echo::{TcpEcho, UdpEcho, echo};
pub use one_way::{Delays, one_way};
pub use ping::{Pinger, median, percentile};
pub use priority::measures;
pub use sequence::{address, deliver, lost, receiver, sender_to};
