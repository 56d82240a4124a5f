//! Where the programs are attached. Each place is attached while some rule
//! needs it and not a moment longer.

mod cgroup;
mod clsact;
mod expedite;
mod lease;
mod tcx;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    os::fd::OwnedFd,
};

use aya::{
    Ebpf,
    programs::{
        TcAttachType, cgroup_skb::CgroupSkbLink, cgroup_sock::CgroupSockLink,
        raw_trace_point::RawTracePointLink,
    },
};

pub use expedite::Expedite;
pub use lease::Lease;

use super::{
    PlaneError,
    object::{self, program},
};
use crate::{engine::journal::Journal, host::netns::Netns};

/// A place that a program is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Where packets leave an interface.
    Egress(u32),
    /// Where packets arrive at an interface.
    Ingress(u32),
    /// Where packets come out of a TAP of the delay line.
    Tap(u32),
    /// Where packets arrive at sockets.
    SocketIngress,
    /// Where sockets are made.
    SocketCreate,
    /// Where processes fork.
    Fork,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Egress(ifindex) => write!(f, "the egress classifier on interface {ifindex}"),
            Self::Ingress(ifindex) => write!(f, "the ingress classifier on interface {ifindex}"),
            Self::Tap(ifindex) => write!(f, "the re-entry classifier on TAP {ifindex}"),
            Self::SocketIngress => f.write_str("the ingress hook of all sockets"),
            Self::SocketCreate => f.write_str("the hook where sockets are made"),
            Self::Fork => f.write_str("the hook where processes fork"),
        }
    }
}

/// What keeps a program attached. Dropped, it is detached, but for a
/// [`Held::Filter`].
enum Held {
    Tcx(#[expect(dead_code, reason = "held for its drop")] OwnedFd),
    Filter(Box<clsact::Filter>),
    CgroupSkb(#[expect(dead_code, reason = "held for its drop")] CgroupSkbLink),
    CgroupSock(#[expect(dead_code, reason = "held for its drop")] CgroupSockLink),
    RawTracePoints(#[expect(dead_code, reason = "held for its drop")] Vec<RawTracePointLink>),
}

struct Attached {
    users: BTreeSet<u16>,
    held: Held,
}

/// All attachments of a plane.
pub struct Attachments {
    netns: Netns,
    journal: Journal,
    places: HashMap<Place, Attached>,
    /// Whether the kernel has TCX, once that is known.
    tcx: Option<bool>,
    /// Runs while there are filters, which outlive the process.
    pub(super) lease: Lease,
}

impl Attachments {
    /// None yet.
    pub fn new(netns: Netns, journal: Journal, lease: Lease) -> Self {
        Self { netns, journal, places: HashMap::new(), tcx: None, lease }
    }

    /// The places in use and how.
    pub fn list(&self) -> Vec<(Place, &'static str)> {
        let mut list: Vec<_> = self
            .places
            .iter()
            .map(|(place, attached)| {
                let how = match &attached.held {
                    Held::Tcx(_) => "tcx",
                    Held::Filter(_) => "clsact",
                    Held::CgroupSkb(_) | Held::CgroupSock(_) => "cgroup",
                    Held::RawTracePoints(_) => "raw_tracepoint",
                };
                (*place, how)
            })
            .collect();
        list.sort_unstable();
        list
    }

    /// Whether the rule in `slot` uses a place.
    pub fn is_user(&self, place: Place, slot: u16) -> bool {
        self.places.get(&place).is_some_and(|attached| attached.users.contains(&slot))
    }

    /// Makes the rule in `slot` a user of `places`, attaching what is not
    /// attached yet.
    ///
    /// # Errors
    /// The first refusal; what was attached until then has `slot` as a user.
    pub fn acquire(
        &mut self,
        ebpf: &mut Ebpf,
        places: &[Place],
        slot: u16,
        expires_boot_ns: u64,
    ) -> Result<(), PlaneError> {
        let missing = places.iter().any(|place| !self.places.contains_key(place));
        let _expedite = missing.then(|| Expedite::start(&self.journal));
        for place in places {
            if !self.places.contains_key(place) {
                let held = self.attach(ebpf, *place, expires_boot_ns)?;
                self.places.insert(*place, Attached { users: BTreeSet::new(), held });
            }
            if let Some(attached) = self.places.get_mut(place) {
                attached.users.insert(slot);
                if let Held::Filter(filter) = &mut attached.held {
                    filter.extend(expires_boot_ns)?;
                }
            }
        }
        Ok(())
    }

    /// The rule in `slot` no longer needs anything; places without a user are
    /// detached.
    pub fn release(&mut self, slot: u16) -> Vec<PlaneError> {
        for attached in self.places.values_mut() {
            attached.users.remove(&slot);
        }
        let unused =
            |(place, attached): (&Place, &Attached)| attached.users.is_empty().then_some(*place);
        let places: Vec<Place> = self.places.iter().filter_map(unused).collect();
        self.detach(&places)
    }

    /// Forgets interfaces that are gone, with what was attached there.
    pub fn forget(&mut self, ifindex: u32) -> Vec<PlaneError> {
        self.detach(&[Place::Egress(ifindex), Place::Ingress(ifindex), Place::Tap(ifindex)])
    }

    fn detach(&mut self, places: &[Place]) -> Vec<PlaneError> {
        let held: Vec<Held> =
            places.iter().filter_map(|place| self.places.remove(place)).map(|a| a.held).collect();
        let _expedite = (!held.is_empty()).then(|| Expedite::start(&self.journal));
        let undo = |held| match held {
            Held::Filter(filter) => filter.remove().err().map(PlaneError::from),
            _ => None,
        };
        let mut errors: Vec<PlaneError> = held.into_iter().filter_map(undo).collect();
        if self.lease.is_running() && !self.filters().any(|_| true) {
            errors.extend(self.lease.end().err());
        }
        errors
    }

    fn filters(&self) -> impl Iterator<Item = (Place, &clsact::Filter)> {
        self.places.iter().filter_map(|(place, attached)| match &attached.held {
            Held::Filter(filter) => Some((*place, &**filter)),
            _ => None,
        })
    }

    fn attach(
        &mut self,
        ebpf: &mut Ebpf,
        place: Place,
        expires_boot_ns: u64,
    ) -> Result<Held, PlaneError> {
        use Place::{Egress, Fork, Ingress, SocketCreate, SocketIngress, Tap};
        let (name, ifindex, direction) = match place {
            Egress(ifindex) => (program::TC_EGRESS, ifindex, TcAttachType::Egress),
            Ingress(ifindex) => (program::TC_INGRESS, ifindex, TcAttachType::Ingress),
            Tap(ifindex) => (program::TAP_INGRESS, ifindex, TcAttachType::Ingress),
            SocketIngress => return cgroup::attach(ebpf).map(Held::CgroupSkb),
            SocketCreate => return cgroup::attach_create(ebpf).map(Held::CgroupSock),
            Fork => return attach_fork(ebpf).map(Held::RawTracePoints),
        };
        let program = object::classifier(ebpf, name)?;
        if self.tcx != Some(false) {
            match tcx::attach(&self.netns, program, ifindex, direction) {
                Ok(link) => {
                    self.tcx = Some(true);
                    return Ok(Held::Tcx(link));
                }
                Err(error) if self.tcx.is_none() && tcx::is_missing(&error) => {
                    self.tcx = Some(false);
                }
                Err(source) => return Err(PlaneError::Attach { what: place.to_string(), source }),
            }
        }
        let here = [Egress(ifindex), Ingress(ifindex), Tap(ifindex)];
        let qdisc_is_ours =
            self.filters().any(|(place, filter)| here.contains(&place) && filter.qdisc_is_ours());
        let at = clsact::At { netns: &self.netns, ifindex, direction, qdisc_is_ours };
        self.lease.begin()?;
        let filter = clsact::attach(program, &at, &self.journal, expires_boot_ns)?;
        Ok(Held::Filter(Box::new(filter)))
    }
}

fn attach_fork(ebpf: &mut Ebpf) -> Result<Vec<RawTracePointLink>, PlaneError> {
    let attach = |name| {
        let fail = |source| PlaneError::Program { what: Place::Fork.to_string(), source };
        let program = object::task_fork(ebpf, name)?;
        let id = program.attach("sched_process_fork").map_err(fail)?;
        program.take_link(id).map_err(fail)
    };
    program::TASK_FORK.into_iter().map(attach).collect()
}
