//! Queueing disciplines that faultd adds, and how their options are encoded
//! (Linux `include/uapi/linux/pkt_sched.h`; the same bytes as iproute2's).

use crate::host::netlink::Request;

use super::{netem::Netem, wire::TCA_OPTIONS};

/// A queueing discipline to add.
#[derive(Debug, Clone, PartialEq)]
pub enum QdiscSpec {
    /// Attach point for classifiers on both directions.
    Clsact,
    /// Attach point for classifiers on ingress alone.
    Ingress,
    /// No queue at all: the device takes packets as they come.
    Noqueue,
    /// Fair queue: releases packets at their departure time.
    Fq(Fq),
    /// Bands chosen by the packet's priority.
    Prio(Prio),
    /// Network emulator.
    Netem(Box<Netem>),
    /// Hierarchical token bucket.
    Htb(Htb),
    /// Token bucket.
    Tbf(Tbf),
}

impl QdiscSpec {
    /// Its name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Clsact => "clsact",
            Self::Ingress => "ingress",
            Self::Noqueue => "noqueue",
            Self::Fq(_) => "fq",
            Self::Prio(_) => "prio",
            Self::Netem(_) => "netem",
            Self::Htb(_) => "htb",
            Self::Tbf(_) => "tbf",
        }
    }

    pub(super) fn put_options(&self, request: &mut Request) {
        match self {
            Self::Clsact | Self::Noqueue => {}
            Self::Ingress => {
                request.nest(TCA_OPTIONS, |_| {});
            }
            Self::Fq(fq) => fq.put(request),
            Self::Prio(prio) => prio.put(request),
            Self::Netem(netem) => netem.put(request),
            Self::Htb(htb) => htb.put(request),
            Self::Tbf(tbf) => tbf.put(request),
        }
    }
}

/// Options of `fq`; `None` leaves the kernel's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fq {
    /// Packets in all queues (default 10000).
    pub limit: Option<u32>,
    /// Packets of one flow (default 100).
    pub flow_limit: Option<u32>,
    /// How far ahead a departure time may lie, in microseconds (default 10 s).
    pub horizon_us: Option<u32>,
    /// Drop packets beyond the horizon (default), or let them leave at it.
    pub horizon_drop: Option<bool>,
}

impl Fq {
    fn put(&self, request: &mut Request) {
        const TCA_FQ_PLIMIT: u16 = 1;
        const TCA_FQ_FLOW_PLIMIT: u16 = 2;
        const TCA_FQ_HORIZON: u16 = 14;
        const TCA_FQ_HORIZON_DROP: u16 = 15;
        request.nest(TCA_OPTIONS, |options| {
            for (kind, value) in [
                (TCA_FQ_PLIMIT, self.limit),
                (TCA_FQ_FLOW_PLIMIT, self.flow_limit),
                (TCA_FQ_HORIZON, self.horizon_us),
            ] {
                if let Some(value) = value {
                    options.attr_u32(kind, value);
                }
            }
            if let Some(drop) = self.horizon_drop {
                options.attr(TCA_FQ_HORIZON_DROP, &[u8::from(drop)]);
            }
        });
    }
}

/// Options of `prio`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prio {
    /// How many bands, 2 to 16.
    pub bands: u32,
    /// Band of each of the 16 logical priorities.
    pub priomap: [u8; 16],
}

impl Default for Prio {
    /// `tc qdisc add … prio`: three bands, the usual map of pfifo_fast.
    fn default() -> Self {
        Self { bands: 3, priomap: [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1] }
    }
}

impl Prio {
    fn put(&self, request: &mut Request) {
        let mut qopt = self.bands.to_ne_bytes().to_vec(); // struct tc_prio_qopt
        qopt.extend_from_slice(&self.priomap);
        request.attr(TCA_OPTIONS, &qopt);
    }
}

/// Options of `htb`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Htb {
    /// Minor number of the class for packets that no filter names; 0 = none.
    pub default_class: u16,
}

impl Htb {
    fn put(&self, request: &mut Request) {
        const TCA_HTB_INIT: u16 = 2;
        const TC_HTB_PROTOVER: u32 = 3;
        const RATE_TO_QUANTUM: u32 = 10; // iproute2's default
        let mut glob = Vec::with_capacity(20); // struct tc_htb_glob
        for field in [TC_HTB_PROTOVER, RATE_TO_QUANTUM, u32::from(self.default_class), 0, 0] {
            glob.extend_from_slice(&field.to_ne_bytes());
        }
        request.nest(TCA_OPTIONS, |options| {
            options.attr(TCA_HTB_INIT, &glob);
        });
    }
}

/// Options of `tbf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tbf {
    /// Bytes a second.
    pub rate: u64,
    /// Bytes that may leave at once.
    pub burst: u32,
    /// Bytes that may wait.
    pub limit: u32,
}

impl Tbf {
    fn put(&self, request: &mut Request) {
        const TCA_TBF_PARMS: u16 = 1;
        const TCA_TBF_RATE64: u16 = 4;
        const TCA_TBF_BURST: u16 = 6;
        const TC_LINKLAYER_ETHERNET: u8 = 1;
        let rate = u32::try_from(self.rate).unwrap_or(u32::MAX);
        // struct tc_tbf_qopt: two tc_ratespec (rate, peak), limit, buffer, mtu.
        // With TCA_TBF_BURST the kernel needs no rate table (since 3.11).
        let mut parms = [0u8; 36];
        parms[1] = TC_LINKLAYER_ETHERNET;
        parms[8..12].copy_from_slice(&rate.to_ne_bytes());
        parms[24..28].copy_from_slice(&self.limit.to_ne_bytes());
        request.nest(TCA_OPTIONS, |options| {
            options.attr(TCA_TBF_PARMS, &parms).attr_u32(TCA_TBF_BURST, self.burst);
            if self.rate > u64::from(u32::MAX) {
                options.attr(TCA_TBF_RATE64, &self.rate.to_ne_bytes());
            }
        });
    }
}
