//! What the kernel side and the user side of faultd's network data plane share.
//!
//! Every type here is `repr(C)` with explicit padding and holds no `bool`,
//! `enum` or `usize`: whatever bytes a map holds are a valid value. Sizes and
//! offsets are asserted at compile time, so a change of layout is a visible
//! change here.
#![no_std]

mod action;
mod address;
mod config;
mod counters;
mod filter;
mod index;
mod key;
mod line;
pub mod map;
#[cfg(feature = "user")]
mod pod;
mod random;
mod rule;
mod state;
pub mod syscall;

pub use action::{Delay, Loss, PROBABILITY_ONE};
pub use address::{Address, Prefix};
pub use config::{
    Config, DIM_CGROUP, DIM_INTERFACE, DIM_PIDS, DIM_PORT, DIM_REMOTE, DIM_UID, DIM_WILD,
    REMOTE_INGRESS_VIEW,
};
pub use counters::{
    Counters, NOTE_FORK_UNREADABLE, NOTE_LINE_FAILED, NOTE_NO_LINE, NOTE_PIDS_FULL,
    NOTE_TAG_FAILED, NOTES,
};
pub use filter::{
    FILTER_ALL, FILTER_CGROUP, FILTER_INTERFACE, FILTER_LENGTHS, FILTER_LENGTHS_V4,
    FILTER_LENGTHS_V6, FILTER_USER, FILTER_WORDS, FilterBit, filter_length, filter_lengths,
};
pub use index::{Head, NO_NODE, Node, PrefixEntry};
pub use key::{ExemptKey, FragmentKey, Origins, Ports};
pub use line::{LINE_META_LEN, LineFrame, LineMeta, MAX_ORIGIN};
pub use random::splitmix64;
pub use rule::{
    ACTION_DELAY, ACTION_DROP, ACTION_LOSS_EVERY, ACTION_LOSS_GEMODEL, ACTION_LOSS_RANDOM,
    DISTRIBUTION_NORMAL, DISTRIBUTION_PARETO, DISTRIBUTION_PARETONORMAL, DISTRIBUTION_UNIFORM,
    FLAG_CHECK_UID, FLAG_FORCE, FLAG_INDEX_LOCAL, FLAG_INDEX_PORT, FLAG_INDEX_REMOTE_PORT,
    FLAG_INDEX_REMOTE_PREFIX, FLAG_LO_FROM_PORT, HOOK_CG_INGRESS, HOOK_TC_EGRESS, HOOK_TC_INGRESS,
    PROTO_ICMP, PROTO_OTHER, PROTO_TCP, PROTO_UDP, PortRange, Rule, SCOPE_ANY, SCOPE_CGROUP,
    SCOPE_PIDS, SCOPE_UID, VIA_EDT, VIA_LINE, VIA_NETEM,
};
pub use state::RuleState;

/// Rule slots. Slot 0 is never used, so that 0 can mean "no rule".
pub const SLOTS: u32 = 4096;

/// Nodes of the index chains; see [`Node`]. Node 0 is [`NO_NODE`].
pub const NODES: u32 = 1 << 16;

/// Entries of the prefix index; entry 0 is never used.
pub const PREFIXES: u32 = 1 << 14;

/// Interfaces that rules are indexed by.
pub const INTERFACES: u32 = 1 << 14;

/// Interfaces that one rule can name.
pub const RULE_INTERFACES: usize = 8;

/// Port ranges of each of a rule's four port sets.
pub const RULE_PORT_RANGES: usize = 16;

/// Address prefixes of each of a rule's two address sets.
pub const RULE_PREFIXES: usize = 8;

/// Entries of one distribution table.
pub const DISTRIBUTION_LEN: u32 = 4096;

/// A distribution table, in units of jitter; see [`DISTRIBUTION_SHIFT`].
pub type Distribution = [i32; DISTRIBUTION_LEN as usize];

/// How many tables there are: uniform needs none.
pub const DISTRIBUTIONS: u32 = 3;

/// Distribution tables hold units of jitter as fixed point with this many
/// fraction bits: jitter ≤ 2^36 ns and table values < 2^5 leave the product
/// inside an i64.
pub const DISTRIBUTION_SHIFT: u32 = 20;

/// The skb mark bit that says "seen", when none is configured.
pub const DEFAULT_BYPASS_MARK: u32 = 0x0400_0000;

/// A line whose heartbeat is older than this holds nothing: packets pass.
pub const HEARTBEAT_MAX_AGE_NS: u64 = 1_000_000_000;

/// Interfaces without Ethernet headers that [`Config`] can name.
pub const HEADLESS: usize = 6;

/// Copies of the program that follows children. Each is enough: the kernel skips a
/// program on a processor where a thread was interrupted inside it
/// (`__bpf_trace_run`, kernel/trace/bpf_trace.c), and since Linux 7 lets threads
/// be interrupted there. Of children born in a crowd on an emulated machine one
/// program missed 7 to 79 of 200, two missed up to 14 of 2000, three none of 6000.
pub const FORK_COPIES: usize = 4;

/// Index of the loopback interface in every network namespace
/// (`LOOPBACK_IFINDEX`, include/net/flow.h).
pub const LOOPBACK_IFINDEX: u32 = 1;
