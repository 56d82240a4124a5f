//! The state of one packet's way through the index.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use faultd_abi::{ExemptKey, HEARTBEAT_MAX_AGE_NS, NO_NODE, VIA_LINE};

use crate::{
    action,
    maps::{EXEMPT, LINE_HEARTBEAT},
    packet::Packet,
};

/// No rule owns up to a user: the socket is unknown.
pub const NO_UID: u32 = u32::MAX;

/// One packet, where its walk is, and what came of it so far.
#[repr(C)]
pub struct Walk {
    pub packet: Packet,
    /// The socket's user, or [`NO_UID`].
    pub uid: u32,
    /// The next candidate.
    pub node: u32,
    /// The tag that nodes of this list carry.
    pub tag: u32,
    /// The prefix entry to go on with after this list, or 0.
    pub parent: u32,
    /// Not 0: this list was reached by the packet's second port or address;
    /// rules that the first one reaches were met already.
    pub second: u32,
    pub verdict: Verdict,
    now: u64,
    exempt: u32,
    line: u32,
}

/// What the matching rules want, taken together.
#[repr(C)]
pub struct Verdict {
    /// Sum of the delays, in nanoseconds.
    pub delay_ns: u64,
    /// Not 0: some rule matched.
    pub touched: u32,
    /// Not 0: some rule drops the packet.
    pub drop: u32,
    /// The `VIA_*` value that serves all delays, or 0.
    pub via: u8,
    pad: [u8; 3],
    /// The rule that asked for the last delay.
    pub slot: u32,
    /// Netem's class.
    pub class: u32,
}

// Answers that are fetched once, and only if asked for.
const UNKNOWN: u32 = 0;
const NO: u32 = 1;
const YES: u32 = 2;

impl Walk {
    #[inline(always)]
    pub const fn new(hooks: u8) -> Self {
        Self {
            packet: Packet::new(hooks),
            uid: NO_UID,
            node: NO_NODE,
            tag: 0,
            parent: 0,
            second: 0,
            verdict: Verdict {
                delay_ns: 0,
                touched: 0,
                drop: 0,
                via: 0,
                pad: [0; 3],
                slot: 0,
                class: 0,
            },
            now: 0,
            exempt: UNKNOWN,
            line: UNKNOWN,
        }
    }

    /// Boot-time nanoseconds. Reading the clock costs as much as all else
    /// together, so it is read once and only for a match.
    #[inline(always)]
    pub fn now(&mut self) -> u64 {
        if self.now == 0 {
            // SAFETY: takes nothing.
            self.now = unsafe { bpf_ktime_get_boot_ns() };
        }
        self.now
    }

    /// Whether the packet belongs to an exempt flow.
    #[inline(always)]
    pub fn is_exempt(&mut self) -> bool {
        if self.exempt == UNKNOWN {
            let key = ExemptKey {
                source: self.packet.source,
                destination: self.packet.destination,
                ports: self.packet.ports,
                protocol: u32::from(self.packet.protocol),
            };
            self.exempt = if EXEMPT.get_ptr(&key).is_some() { YES } else { NO };
        }
        self.exempt == YES
    }

    /// Whether the delay line is alive.
    #[inline(always)]
    pub fn has_line(&mut self) -> bool {
        if self.line == UNKNOWN {
            let now = self.now();
            let alive = LINE_HEARTBEAT
                .get(0)
                .is_some_and(|beat| now.saturating_sub(*beat) < HEARTBEAT_MAX_AGE_NS);
            self.line = if alive { YES } else { NO };
        }
        self.line == YES
    }
}

impl Verdict {
    /// Adds a delay. The delay line can stand in for every other way, and only
    /// one of them can hold a packet, so it wins; then EDT.
    #[inline(always)]
    pub fn delay(&mut self, delay: &action::Held) {
        self.delay_ns = self.delay_ns.saturating_add(delay.ns);
        if delay.via == VIA_LINE || self.via == 0 || delay.via < self.via {
            self.via = delay.via;
        }
        self.slot = delay.slot;
        self.class = delay.class;
    }
}
