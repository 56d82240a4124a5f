//! Root qdiscs that the backends `edt` and `netem` put in place.
//!
//! An interface carries at most one of ours: an `fq` for departure times, or
//! a `prio` tree whose first band takes everything and whose other bands end
//! in one `netem` each. Both are undo-logged before they are added, shared by
//! the faults that need them, and go with the last of these.

use std::collections::{HashMap, hash_map::Entry};

use faultd_api::{Distribution, LatencyParams};

use crate::{
    engine::journal::{Journal, JournalError, Ticket},
    fault::net::plane,
    host::{
        links::Link,
        netns::Netns,
        tc::{Fq, Handle, Netem, Prio, QdiscSpec, Tc, TcError, probability},
        undo::{Undo, UndoError},
    },
};

/// Major number of our root qdiscs; the undo deletes no other.
pub const ROOT_MAJOR: u16 = 0xfa17;
/// `TCQ_PRIO_BANDS`, Linux include/uapi/linux/pkt_sched.h: bands of a prio.
const BANDS: u16 = 16;
/// Packets that may wait in a queue of ours: nothing may be lost for want of
/// room at the rates that a test host sees.
const LIMIT: u32 = 1_000_000;
/// How far ahead fq of ours lets a departure lie, in microseconds: beyond the
/// longest delay (60 s) and its jitter.
const HORIZON_US: u32 = 600_000_000;
/// Samples of a netem distribution table, as iproute2 ships them.
const TABLE_LEN: usize = 4096;
/// `NETEM_DIST_SCALE`, Linux include/uapi/linux/pkt_sched.h.
const TABLE_SCALE: f64 = 8192.0;

/// Why a qdisc could not be put in place.
#[derive(Debug, thiserror::Error)]
pub enum QdiscError {
    /// The kernel's answer.
    #[error(transparent)]
    Tc(#[from] TcError),
    /// The undo could not be recorded, so nothing was done.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Taking it back failed.
    #[error(transparent)]
    Undo(#[from] UndoError),
    /// The interface is taken by the other backend.
    #[error(
        "{link} already has faultd's {kind} qdisc; revert the faults that use it, or use --backend delay-line"
    )]
    Taken {
        /// The interface.
        link: String,
        /// `fq` or `prio`.
        kind: &'static str,
    },
    /// Every band has its netem.
    #[error(
        "{0} carries 15 netem faults already, more than prio has bands for; use --backend delay-line"
    )]
    Full(String),
}

enum Root {
    /// An `fq` of ours.
    Fq { users: usize },
    /// A `prio` of ours and which of its bands end in a netem.
    Tree { bands: [bool; BANDS as usize] },
}

struct Mine {
    root: Root,
    ticket: Ticket,
}

/// Our root qdiscs in one namespace, by interface.
#[derive(Default)]
pub struct Qdiscs {
    by_link: HashMap<u32, Mine>,
}

/// What one fault holds of them; give it back with [`Qdiscs::release`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    ifindex: u32,
    /// 0 for an `fq`.
    band: u16,
}

impl Hold {
    /// The class that packets have to be sent to (netem).
    pub fn class(self) -> u32 {
        Handle::new(ROOT_MAJOR, self.band + 1).0
    }

    /// The interface.
    pub fn ifindex(self) -> u32 {
        self.ifindex
    }
}

impl Qdiscs {
    /// Makes sure that the interface has an `fq`; `None` when it has one that
    /// is not ours.
    ///
    /// # Errors
    /// When it cannot be added; nothing was changed then.
    pub fn fq(
        &mut self,
        netns: &Netns,
        link: &Link,
        journal: &Journal,
        expires_boot_ns: u64,
    ) -> Result<Option<Hold>, QdiscError> {
        let hold = Hold { ifindex: link.ifindex, band: 0 };
        if let Some(mine) = self.by_link.get_mut(&link.ifindex) {
            let Root::Fq { users } = &mut mine.root else {
                return Err(QdiscError::Taken { link: link.name.clone(), kind: "prio" });
            };
            mine.ticket.extend(expires_boot_ns)?;
            *users += 1;
            return Ok(Some(hold));
        }
        if link.root_qdisc == "fq" {
            return Ok(None);
        }
        let spec = QdiscSpec::Fq(Fq {
            limit: Some(LIMIT),
            flow_limit: Some(LIMIT),
            horizon_us: Some(HORIZON_US),
            ..Fq::default()
        });
        let ticket = add_root(netns, link, &spec, journal, expires_boot_ns)?;
        self.by_link.insert(link.ifindex, Mine { root: Root::Fq { users: 1 }, ticket });
        Ok(Some(hold))
    }

    /// Adds a `netem` with these parameters below the interface's `prio`.
    ///
    /// # Errors
    /// When it cannot be added; nothing was changed then.
    pub fn netem(
        &mut self,
        netns: &Netns,
        link: &Link,
        params: &LatencyParams,
        journal: &Journal,
        expires_boot_ns: u64,
    ) -> Result<Hold, QdiscError> {
        if let Entry::Vacant(place) = self.by_link.entry(link.ifindex) {
            let spec = QdiscSpec::Prio(Prio { bands: u32::from(BANDS), priomap: [0; 16] });
            let ticket = add_root(netns, link, &spec, journal, expires_boot_ns)?;
            let root = Root::Tree { bands: [false; BANDS as usize] };
            place.insert(Mine { root, ticket });
        }
        let result = self.add_band(netns, link, params, expires_boot_ns);
        if result.is_err() {
            self.drop_if_unused(link.ifindex)?;
        }
        result
    }

    fn add_band(
        &mut self,
        netns: &Netns,
        link: &Link,
        params: &LatencyParams,
        expires_boot_ns: u64,
    ) -> Result<Hold, QdiscError> {
        let full = || QdiscError::Full(link.name.clone());
        let mine = self.by_link.get_mut(&link.ifindex).ok_or_else(full)?;
        let Root::Tree { bands } = &mut mine.root else {
            return Err(QdiscError::Taken { link: link.name.clone(), kind: "fq" });
        };
        let band = (1..BANDS).find(|band| !bands[usize::from(*band)]).ok_or_else(full)?;
        mine.ticket.extend(expires_boot_ns)?;
        let spec = QdiscSpec::Netem(Box::new(netem(params)));
        let parent = Handle::new(ROOT_MAJOR, band + 1);
        Tc::open(netns)?.add_qdisc(link.ifindex, parent, Handle::NONE, &spec)?;
        bands[usize::from(band)] = true;
        Ok(Hold { ifindex: link.ifindex, band })
    }

    /// Gives back what a fault held; the last one takes the root qdisc along.
    ///
    /// # Errors
    /// When it could not be taken back; the journal keeps it then.
    pub fn release(&mut self, netns: &Netns, hold: Hold) -> Result<(), QdiscError> {
        let Some(mine) = self.by_link.get_mut(&hold.ifindex) else { return Ok(()) };
        let mut result = Ok(());
        match &mut mine.root {
            Root::Fq { users } => *users -= 1,
            Root::Tree { bands } => {
                bands[usize::from(hold.band)] = false;
                let parent = Handle::new(ROOT_MAJOR, hold.band + 1);
                result = Tc::open(netns)
                    .and_then(|mut tc| tc.del_qdisc(hold.ifindex, parent, Handle::NONE))
                    .or_else(|e| if e.is_absent() { Ok(()) } else { Err(QdiscError::from(e)) });
            }
        }
        self.drop_if_unused(hold.ifindex)?;
        result
    }

    fn drop_if_unused(&mut self, ifindex: u32) -> Result<(), QdiscError> {
        let unused = self.by_link.get(&ifindex).is_some_and(|mine| match &mine.root {
            Root::Fq { users } => *users == 0,
            Root::Tree { bands } => !bands.contains(&true),
        });
        if !unused {
            return Ok(());
        }
        let Some(mine) = self.by_link.remove(&ifindex) else { return Ok(()) };
        Ok(mine.ticket.undo()?)
    }

    /// Whether nothing is in place.
    pub fn is_empty(&self) -> bool {
        self.by_link.is_empty()
    }
}

/// Whether the interface's root qdisc is one that a fault put there; another
/// fault of the same backend shares it.
pub fn is_ours(netns: &Netns, link: &Link) -> bool {
    let root = Tc::open(netns).and_then(|mut tc| tc.root(link.ifindex));
    root.is_ok_and(|root| root.is_some_and(|root| root.handle.major() == ROOT_MAJOR))
}

fn add_root(
    netns: &Netns,
    link: &Link,
    spec: &QdiscSpec,
    journal: &Journal,
    expires_boot_ns: u64,
) -> Result<Ticket, QdiscError> {
    let handle = Handle::new(ROOT_MAJOR, 0);
    let undo = Undo::RootQdisc { netns: netns.reference(), ifindex: link.ifindex, handle };
    let ticket = journal.record("net", expires_boot_ns, undo)?;
    let added =
        Tc::open(netns).and_then(|mut tc| tc.add_qdisc(link.ifindex, Handle::ROOT, handle, spec));
    match added {
        Ok(()) => Ok(ticket),
        Err(error) => {
            ticket.undo()?;
            Err(error.into())
        }
    }
}

fn netem(params: &LatencyParams) -> Netem {
    let ns = |ms: f64| (ms * 1e6).round() as u64;
    Netem {
        limit: LIMIT,
        latency_ns: ns(params.ms),
        jitter_ns: ns(params.jitter_ms),
        delay_correlation: probability(params.correlation.unwrap_or_default()),
        distribution: table(params.distribution.unwrap_or_default()),
        ..Netem::default()
    }
}

/// The same shape as the classifier's own tables, in netem's units.
fn table(distribution: Distribution) -> Option<Vec<i16>> {
    let quantile = plane::quantiles(distribution)?;
    let sample = |i: usize| {
        let at = (i as f64 + 0.5) / TABLE_LEN as f64;
        let scaled = (quantile(at) * TABLE_SCALE).round();
        scaled.clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
    };
    Some((0..TABLE_LEN).map(sample).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_bands_of_our_root() {
        let hold = Hold { ifindex: 1, band: 3 };
        assert_eq!(hold.class(), 0xfa17_0004);
    }

    #[test]
    fn tables_are_centred_and_in_netem_units() {
        assert!(table(Distribution::Uniform).is_none());
        let normal = table(Distribution::Normal).unwrap();
        assert_eq!(normal.len(), TABLE_LEN);
        let mean = normal.iter().map(|v| f64::from(*v)).sum::<f64>() / TABLE_LEN as f64;
        assert!(mean.abs() < 20.0, "mean {mean}");
        let one_sigma = f64::from(normal[(TABLE_LEN as f64 * 0.8413) as usize]);
        assert!((one_sigma - TABLE_SCALE).abs() < 100.0, "84 % at {one_sigma}");
    }
}
