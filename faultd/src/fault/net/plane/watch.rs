//! Interfaces that come and go while a rule is for every interface.
//!
//! A thread that sleeps until the kernel has something to say.

use std::{
    io,
    os::fd::AsFd,
    sync::{Mutex, Weak},
    thread::{self, JoinHandle},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

use super::{PlaneError, core::Core, core::link_places, lock};
use crate::host::{
    links::{self, Link, LinkEvent, LinkWatch},
    netns::Netns,
};
use std::sync::Arc;

/// Watches until it is dropped.
pub struct Watch {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch the interfaces of a namespace for a plane.
    ///
    /// # Errors
    /// When the kernel refuses, or no thread can be started.
    pub fn start(netns: &Netns, core: Weak<Mutex<Core>>) -> Result<Self, PlaneError> {
        let fail = |source| PlaneError::Host { what: "watching interfaces".to_owned(), source };
        let links = LinkWatch::open(netns)?;
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(|e| fail(e.into()))?;
        let stop = Arc::new(stop);
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("link-watch".to_owned())
            .spawn(move || run(links, &told, &core))
            .map_err(fail)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // An event counter that is written once cannot be full.
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(mut links: LinkWatch, stop: &EventFd, core: &Weak<Mutex<Core>>) {
    loop {
        match wait(&links, stop) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::error!("watching interfaces: {error}"),
        }
        let events = match links.wait(0) {
            Ok(events) => events,
            Err(error) => return tracing::error!("watching interfaces: {error}"),
        };
        for event in events {
            let Some(core) = core.upgrade() else { return };
            let mut core = lock(&core);
            if let Err(error) = core.heed(event) {
                tracing::error!("a changed interface: {error}");
            }
        }
    }
}

/// Waits for news; false when the watch has ended.
fn wait(links: &LinkWatch, stop: &EventFd) -> io::Result<bool> {
    let mut fds = [
        PollFd::new(links.as_fd(), PollFlags::POLLIN),
        PollFd::new(stop.as_fd(), PollFlags::POLLIN),
    ];
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => return Ok(fds[1].revents().is_none_or(|events| events.is_empty())),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

impl Core {
    /// Takes note of a changed interface.
    fn heed(&mut self, event: LinkEvent) -> Result<(), PlaneError> {
        match event {
            LinkEvent::Changed(link) => self.cover(&link),
            LinkEvent::Gone { ifindex } => {
                self.headless.remove(&ifindex);
                let mut errors = self.attachments.forget(ifindex);
                if let Some(line) = self.line.clone() {
                    errors.extend(self.drop_origins(&*line, ifindex));
                }
                PlaneError::collect(errors)
            }
            LinkEvent::Missed => {
                let links = links::list(&self.netns)?;
                let errors = links.iter().filter_map(|link| self.cover(link).err());
                PlaneError::collect(errors.collect())
            }
        }
    }

    /// Extends the rules that are for every interface to this one.
    fn cover(&mut self, link: &Link) -> Result<(), PlaneError> {
        if !Self::is_covered(link) {
            return Ok(());
        }
        let open: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, entry)| entry.open)
            .map(|(slot, e)| (slot, e.hooks, e.expires_boot_ns, e.uses_line))
            .collect();
        let mut errors: Vec<PlaneError> = Vec::new();
        errors.extend(self.tell_framing(std::slice::from_ref(link)).err());
        for (slot, hooks, expires, uses_line) in open {
            let places = link_places(hooks, link);
            if places.iter().all(|place| self.attachments.is_user(*place, slot)) {
                continue;
            }
            if uses_line && let Some(line) = self.line.clone() {
                errors.extend(self.ensure_origins(&*line, hooks, link, expires).err());
            }
            errors.extend(self.attachments.acquire(&mut self.ebpf, &places, slot, expires).err());
        }
        PlaneError::collect(errors)
    }
}
