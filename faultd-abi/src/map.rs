//! Names of the maps and globals of the object `faultd-net`.

/// [`crate::Config`], one element.
pub const CONFIG: &str = "CONFIG";
/// [`crate::Rule`] by slot.
pub const RULES: &str = "RULES";
/// [`crate::RuleState`] by slot.
pub const STATE: &str = "STATE";
/// [`crate::Counters`] by slot, per CPU.
pub const COUNTERS: &str = "COUNTERS";
/// [`crate::Node`] by index.
pub const NODES: &str = "NODES";
/// [`crate::Head`] by port.
pub const PORT_HEADS: &str = "PORT_HEADS";
/// [`crate::Head`] by cgroup id (u64).
pub const CGROUP_HEADS: &str = "CGROUP_HEADS";
/// [`crate::Head`] by uid (u32).
pub const UID_HEADS: &str = "UID_HEADS";
/// [`crate::Head`] by interface index (u32).
pub const INTERFACE_HEADS: &str = "INTERFACE_HEADS";
/// [`crate::Head`] by process class (u32).
pub const CLASS_HEADS: &str = "CLASS_HEADS";
/// Process class (u32) by tgid (u32): processes that the same rules name.
pub const PID_CLASS: &str = "PID_CLASS";
/// Index into [`PREFIX_ENTRIES`] (u32) by address prefix.
pub const PREFIX_TRIE: &str = "PREFIX_TRIE";
/// [`crate::PrefixEntry`] by index.
pub const PREFIX_ENTRIES: &str = "PREFIX_ENTRIES";
/// The bitmap (u64 words) in front of the index; see [`crate::FilterBit`].
pub const FILTER: &str = "FILTER";
/// The tgid (u32) that made a socket, in the socket's storage.
pub const SOCK_TAG: &str = "SOCK_TAG";
/// [`crate::Ports`] by [`crate::FragmentKey`].
pub const FRAGMENTS: &str = "FRAGMENTS";
/// Presence (u32) by [`crate::ExemptKey`].
pub const EXEMPT: &str = "EXEMPT";
/// [`crate::Distribution`] by `DISTRIBUTION_*` value, from normal on.
pub const DISTRIBUTIONS: &str = "DISTRIBUTIONS";
/// Boot-time nanosecond (u64) at which the delay line last was alive.
pub const LINE_HEARTBEAT: &str = "LINE_HEARTBEAT";
/// Boot-time nanosecond (u64) until which rules are in force, whatever they
/// say themselves; all ones where the programs go with the process.
pub const LEASE: &str = "LEASE";
/// [`crate::Origins`] of an interface by interface index (u32).
pub const ORIGINS: &str = "ORIGINS";
/// Interface index (u32) to receive on, by index of the TAP (u32).
pub const TAP_TARGETS: &str = "TAP_TARGETS";
/// What went wrong (u64 counts), per CPU, by `NOTE_*`.
pub const NOTES: &str = "NOTES";

/// The skb mark bit that says "seen" (u32, read-only).
pub const BYPASS_MARK: &str = "BYPASS_MARK";
