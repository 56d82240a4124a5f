//! Filters on a clsact qdisc, for kernels before TCX. They outlive the
//! process, so each is journalled before it is added.

use aya::programs::{
    SchedClassifier, TcAttachType,
    tc::{NlOptions, TcAttachOptions, TcHandle},
};

use super::super::PlaneError;
use crate::{
    engine::journal::{Journal, JournalError, Ticket},
    host::{
        netns::Netns,
        tc::{Handle, Tc},
        undo::{Undo, UndoError},
    },
};

/// The number that our filters have within their priority.
const FILTER: u32 = 1;

/// Where a filter goes.
pub struct At<'a> {
    /// In which namespace.
    pub netns: &'a Netns,
    /// On which interface.
    pub ifindex: u32,
    /// In which direction.
    pub direction: TcAttachType,
    /// Whether the qdisc, if there is one, was made for an earlier filter of ours.
    pub qdisc_is_ours: bool,
}

impl At<'_> {
    const fn parent(&self) -> Handle {
        match self.direction {
            TcAttachType::Egress => Handle::CLSACT_EGRESS,
            _ => Handle::CLSACT_INGRESS,
        }
    }
}

/// A filter of ours.
pub struct Filter {
    expires_boot_ns: u64,
    filter: Ticket,
    qdisc: Option<Ticket>,
}

impl Filter {
    /// It is needed until then at least.
    pub fn extend(&mut self, expires_boot_ns: u64) -> Result<(), JournalError> {
        if expires_boot_ns <= self.expires_boot_ns {
            return Ok(());
        }
        self.expires_boot_ns = expires_boot_ns;
        self.filter.extend(expires_boot_ns)?;
        self.qdisc.as_ref().map_or(Ok(()), |qdisc| qdisc.extend(expires_boot_ns))
    }

    /// Whether the qdisc under it goes with the last filter of ours.
    pub const fn qdisc_is_ours(&self) -> bool {
        self.qdisc.is_some()
    }

    /// Deletes it, and the qdisc if it was ours and nobody else uses it.
    pub fn remove(self) -> Result<(), UndoError> {
        let filter = self.filter.undo();
        let qdisc = self.qdisc.map_or(Ok(()), Ticket::undo);
        filter.and(qdisc)
    }
}

/// Adds a filter in front of all others, as far as there is room.
pub fn attach(
    program: &mut SchedClassifier,
    at: &At<'_>,
    journal: &Journal,
    expires_boot_ns: u64,
) -> Result<Filter, PlaneError> {
    let what = || format!("a classifier to interface {}", at.ifindex);
    let mut tc = Tc::open(at.netns)?;
    let qdisc = ensure_clsact(&mut tc, at, journal, expires_boot_ns)?;
    let used: Vec<u16> =
        tc.filters(at.ifindex, at.parent())?.iter().map(|filter| filter.priority).collect();
    let Some(priority) = (1..u16::MAX).find(|priority| !used.contains(priority)) else {
        return Err(PlaneError::Full("priorities of classifiers"));
    };
    let undo = Undo::TcFilter {
        netns: at.netns.reference(),
        ifindex: at.ifindex,
        parent: at.parent(),
        priority,
        handle: FILTER,
    };
    let ticket = journal.record("plane", expires_boot_ns, undo)?;
    let filter = Filter { expires_boot_ns, filter: ticket, qdisc };
    let options = NlOptions { priority, handle: TcHandle::from(FILTER), classid: None };
    let added = at.netns.run(|| {
        let name = nix::net::if_::if_indextoname(at.ifindex).map_err(std::io::Error::from)?;
        let name = name.to_string_lossy();
        let options = TcAttachOptions::Netlink(options);
        Ok(program.attach_with_options(&name, at.direction, options))
    });
    let attached: Result<_, PlaneError> = match added {
        Ok(Ok(result)) => result.map_err(|source| PlaneError::Program { what: what(), source }),
        Ok(Err(source)) | Err(source) => Err(PlaneError::Attach { what: what(), source }),
    };
    match attached.and_then(|id| {
        program.take_link(id).map_err(|source| PlaneError::Program { what: what(), source })
    }) {
        Ok(link) => {
            // The journal's undo is what deletes it, in whichever process.
            std::mem::forget(link);
            Ok(filter)
        }
        Err(error) => Err(error.and(filter.remove().err().map(PlaneError::from))),
    }
}

/// The undo of the qdisc leaves it while it carries filters, so it is recorded
/// with each filter of ours: whichever goes last takes the qdisc along.
fn ensure_clsact(
    tc: &mut Tc,
    at: &At<'_>,
    journal: &Journal,
    expires_boot_ns: u64,
) -> Result<Option<Ticket>, PlaneError> {
    let present = tc.has_clsact(at.ifindex)?;
    if present && !at.qdisc_is_ours {
        return Ok(None);
    }
    let undo = Undo::Clsact { netns: at.netns.reference(), ifindex: at.ifindex };
    let ticket = journal.record("plane", expires_boot_ns, undo)?;
    if present {
        return Ok(Some(ticket));
    }
    if let Err(error) = tc.add_clsact(at.ifindex) {
        let left = ticket.undo().err().map(PlaneError::from);
        return Err(PlaneError::from(error).and(left));
    }
    Ok(Some(ticket))
}
