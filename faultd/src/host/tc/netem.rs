//! The network emulator's options, encoded as iproute2 (`tc/q_netem.c`) does:
//! a `struct tc_netem_qopt` followed, inside the same attribute, by further
//! attributes (Linux `include/uapi/linux/pkt_sched.h`, `net/sched/sch_netem.c`).

use crate::host::netlink::Request;

use super::wire::TCA_OPTIONS;

const TCA_NETEM_CORR: u16 = 1;
const TCA_NETEM_DELAY_DIST: u16 = 2;
const TCA_NETEM_REORDER: u16 = 3;
const TCA_NETEM_CORRUPT: u16 = 4;
const TCA_NETEM_LOSS: u16 = 5 | 0x8000; // NLA_F_NESTED, as iproute2 sets it
const TCA_NETEM_RATE: u16 = 6;
const TCA_NETEM_RATE64: u16 = 8;
const TCA_NETEM_LATENCY64: u16 = 10;
const TCA_NETEM_JITTER64: u16 = 11;
const NETEM_LOSS_GE: u16 = 2;

/// 100 % in netem's units.
pub const PROBABILITY_ONE: u32 = u32::MAX;

/// A percentage in netem's units.
pub fn probability(percent: f64) -> u32 {
    // Saturates: out of range is out of the API's bounds already.
    (percent / 100.0 * f64::from(PROBABILITY_ONE)).round() as u32
}

/// How packets are lost. Probabilities in netem's units ([`probability`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetemLoss {
    /// Independent, or correlated with the packet before.
    Random {
        /// Of each packet.
        loss: u32,
        /// With the decision before.
        correlation: u32,
    },
    /// Gilbert-Elliott.
    Gemodel {
        /// From the good to the bad state.
        p: u32,
        /// From the bad to the good state.
        r: u32,
        /// Loss in the bad state is 1 - h.
        h: u32,
        /// Loss in the good state (1 - k).
        k1: u32,
    },
}

/// Options of `netem`.
#[derive(Debug, Clone, PartialEq)]
pub struct Netem {
    /// Packets that may wait.
    pub limit: u32,
    /// Delay, in nanoseconds.
    pub latency_ns: u64,
    /// Jitter, in nanoseconds.
    pub jitter_ns: u64,
    /// Correlation of the jitter.
    pub delay_correlation: u32,
    /// Shape of the jitter: samples of the inverse distribution in 1/8192
    /// standard deviations, at most 16384 of them; uniform without.
    pub distribution: Option<Vec<i16>>,
    /// Loss.
    pub loss: Option<NetemLoss>,
    /// Duplicates: probability and correlation.
    pub duplicate: (u32, u32),
    /// Bit flips: probability and correlation.
    pub corrupt: (u32, u32),
    /// Packets that overtake (need a delay): probability and correlation.
    pub reorder: (u32, u32),
    /// Every how many packets one may overtake; 0 = 1 where `reorder` is set.
    pub gap: u32,
    /// Bytes a second; 0 = unlimited.
    pub rate: u64,
}

impl Default for Netem {
    fn default() -> Self {
        Self {
            limit: 1000,
            latency_ns: 0,
            jitter_ns: 0,
            delay_correlation: 0,
            distribution: None,
            loss: None,
            duplicate: (0, 0),
            corrupt: (0, 0),
            reorder: (0, 0),
            gap: 0,
            rate: 0,
        }
    }
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_ne_bytes()).collect()
}

impl Netem {
    pub(super) fn put(&self, request: &mut Request) {
        let (loss, loss_correlation) = match self.loss {
            Some(NetemLoss::Random { loss, correlation }) => (loss, correlation),
            _ => (0, 0),
        };
        let gap = if self.reorder.0 > 0 { self.gap.max(1) } else { self.gap };
        // tc_netem_qopt: latency and jitter are obsolete here, the 64-bit
        // attributes (Linux 4.15) override them.
        let qopt = words(&[0, self.limit, loss, gap, self.duplicate.0, 0]);
        request.nest(TCA_OPTIONS, |options| {
            options.raw(&qopt);
            if self.latency_ns > 0 {
                options.attr(TCA_NETEM_LATENCY64, &self.latency_ns.to_ne_bytes());
            }
            if self.jitter_ns > 0 {
                options.attr(TCA_NETEM_JITTER64, &self.jitter_ns.to_ne_bytes());
            }
            let correlations = [self.delay_correlation, loss_correlation, self.duplicate.1];
            if correlations != [0; 3] {
                options.attr(TCA_NETEM_CORR, &words(&correlations));
            }
            if self.reorder.0 > 0 {
                options.attr(TCA_NETEM_REORDER, &words(&[self.reorder.0, self.reorder.1]));
            }
            if self.corrupt.0 > 0 {
                options.attr(TCA_NETEM_CORRUPT, &words(&[self.corrupt.0, self.corrupt.1]));
            }
            if let Some(NetemLoss::Gemodel { p, r, h, k1 }) = self.loss {
                options.nest(TCA_NETEM_LOSS, |model| {
                    model.attr(NETEM_LOSS_GE, &words(&[p, r, h, k1]));
                });
            }
            self.put_rate(options);
            if let Some(table) = &self.distribution {
                let bytes: Vec<u8> = table.iter().flat_map(|v| v.to_ne_bytes()).collect();
                options.attr(TCA_NETEM_DELAY_DIST, &bytes);
            }
        });
    }

    fn put_rate(&self, options: &mut Request) {
        if self.rate == 0 {
            return;
        }
        let rate = match u32::try_from(self.rate) {
            Ok(rate) => rate,
            Err(_) => {
                options.attr(TCA_NETEM_RATE64, &self.rate.to_ne_bytes());
                u32::MAX
            }
        };
        options.attr(TCA_NETEM_RATE, &words(&[rate, 0, 0, 0])); // struct tc_netem_rate
    }
}
