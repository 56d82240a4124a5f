//! What is counted.

/// Counts of one rule on one CPU (map `COUNTERS`, per-CPU, by slot).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets that the rule's match describes, and that it may touch.
    pub matched: u64,
    /// Of those: dropped or delayed.
    pub affected: u64,
    /// Bytes of the affected packets, link-layer header included where the
    /// hook sees one.
    pub affected_bytes: u64,
    /// Delay asked for, summed over the affected packets.
    pub delay_ns: u64,
    /// Matched but passed: the delay line's heartbeat was stale or there is
    /// no line.
    pub passed_no_line: u64,
    /// Would have matched, but belongs to an exempt flow.
    pub exempt: u64,
    /// Would have matched, but the rule's time was up, or its daemon was gone.
    pub expired: u64,
    /// Would have matched, but is neighbour discovery or DHCP.
    pub protected: u64,
}

const _: () = assert!(size_of::<Counters>() == 64);

/// Index into `NOTES`: a packet could not be handed to the delay line.
pub const NOTE_LINE_FAILED: u32 = 0;
/// Index into `NOTES`: a delay was due on an interface without an origin.
pub const NOTE_NO_LINE: u32 = 1;
/// Index into `NOTES`: a forked child found no room in `PID_CLASS`.
pub const NOTE_PIDS_FULL: u32 = 2;
/// Index into `NOTES`: a new socket could not be tagged.
pub const NOTE_TAG_FAILED: u32 = 3;
/// Index into `NOTES`: a forked child's ids could not be read.
pub const NOTE_FORK_UNREADABLE: u32 = 4;
/// Entries of the per-CPU map `NOTES`: what went wrong, and how often.
pub const NOTES: u32 = 8;
