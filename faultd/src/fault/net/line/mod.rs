//! The delay line: holds packets in user space and sends them on in time.
//!
//! The classifier redirects a packet to a TAP device, with its deadline in
//! front ([`faultd_abi::LineMeta`]). A real-time thread reads it, holds it,
//! and puts it back on the device it was on its way to with a mark that the
//! classifier lets pass. It needs no queueing discipline and works on any
//! kernel with TUN. Whole segmentation-offload frames pass, so a bulk stream
//! costs one read and one write for each 64 KiB.
//!
//! Ownership: one [`Line`] serves one network namespace. TAP and packet
//! sockets belong to the process; when it dies, however it dies, they are
//! gone and the classifier (whose heartbeat stops) lets packets pass.
//!
//! Invariants:
//! - No frame is sent before its deadline, except when its rule ends.
//! - Frames with equal deadlines keep their order.
//! - The thread never waits for another thread of the daemon.
//! - Nothing wakes the thread while nothing is held, except for the heartbeat.

mod arena;
mod frame;
mod hold;
mod inject;
mod routing;
mod stats;
mod tap;
mod thread;
mod wait;

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::AsFd as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::Ordering,
        mpsc::{Sender, channel, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use faultd_abi::MAX_ORIGIN;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::{
    engine::{clock::boot_ns, journal::Journal},
    host::{links::Link, netns::Netns},
};

pub use routing::RoutingError;
pub use stats::{LineStats, Quantiles};
pub use tap::TapError;

use routing::LoopbackRouting;
use stats::SlotStats;
use tap::Tap;
use thread::{Command, Remains, Shared, Worker};

/// What a line needs.
pub struct LineConfig {
    /// Where the TAP is made and frames are sent.
    pub netns: Netns,
    /// The mark that the classifier lets pass.
    pub mark: u32,
    /// Where changes that outlive the process are recorded.
    pub journal: Journal,
    /// Called with CLOCK_BOOTTIME in ns, at least four times a second, from
    /// the line's thread; must not block.
    pub heartbeat: Box<dyn FnMut(u64) + Send>,
    /// Bound on the memory for held frames.
    pub max_bytes: usize,
}

/// Where frames of an origin came from and go back to.
///
/// An interface that is delayed in both directions has two origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginKind {
    /// Loopback: the meta stands in place of the Ethernet header.
    Loopback,
    /// Leaving by a device with Ethernet headers.
    Ethernet,
    /// Leaving by a device without link-layer headers (WireGuard, TUN).
    L3,
    /// Coming in by a device with Ethernet headers.
    Ingress,
}

/// Why the line could not do something.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// No TAP.
    #[error("cannot make the delay line's TAP device: {0}")]
    Tap(#[from] TapError),
    /// No way back to a device.
    #[error("cannot open a packet socket for interface {ifindex}: {source}")]
    Socket {
        /// The interface.
        ifindex: u32,
        /// The system's answer.
        source: io::Error,
    },
    /// The namespace cannot be entered, or no thread can be started.
    #[error("cannot start the delay line: {0}")]
    Start(#[from] io::Error),
    /// Loopback would not take its packets back.
    #[error("cannot let held packets back in on loopback: {0}")]
    Loopback(#[from] RoutingError),
    /// Origins above [`MAX_ORIGIN`] could look like VLAN tags.
    #[error("origin {0} is above {MAX_ORIGIN}")]
    Origin(u16),
    /// The thread has ended.
    #[error("the delay line has stopped")]
    Stopped,
}

/// A running delay line. Dropped, it sends on what it holds and is gone.
pub struct Line {
    netns: Netns,
    mark: u32,
    journal: Journal,
    tap_ifindex: u32,
    shared: Arc<Shared>,
    commands: Sender<Command>,
    wake: EventFd,
    slots: Mutex<HashMap<u16, Arc<SlotStats>>>,
    loopback: Mutex<Loopback>,
    thread: Option<JoinHandle<Remains>>,
}

/// Which origins are loopback, and what they need.
#[derive(Default)]
struct Loopback {
    origins: HashSet<u16>,
    routing: Option<LoopbackRouting>,
}

impl Line {
    /// Makes the TAP and starts the thread. The first heartbeat has been sent
    /// when this returns.
    ///
    /// # Errors
    /// When there is no TUN, or the namespace or thread cannot be had.
    pub fn start(config: LineConfig) -> Result<Self, LineError> {
        let LineConfig { netns, mark, journal, mut heartbeat, max_bytes } = config;
        let tap = Tap::create(&netns)?;
        let tap_ifindex = tap.ifindex();
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(io::Error::from)?;
        let thread_wake = wake.as_fd().try_clone_to_owned()?;
        let shared = Arc::new(Shared::default());
        let (commands, received) = channel();
        heartbeat(boot_ns());
        let worker =
            Worker::new(tap, thread_wake, received, Arc::clone(&shared), heartbeat, max_bytes);
        let thread = Builder::new().name("delay-line".into()).spawn(move || worker.run())?;
        Ok(Self {
            netns,
            mark,
            journal,
            tap_ifindex,
            shared,
            commands,
            wake,
            slots: Mutex::default(),
            loopback: Mutex::default(),
            thread: Some(thread),
        })
    }

    /// Where the classifier has to redirect to.
    pub const fn tap_ifindex(&self) -> u32 {
        self.tap_ifindex
    }

    /// False once the TAP was taken away from outside; the line then holds
    /// nothing and has to be replaced.
    pub fn is_whole(&self) -> bool {
        !self.shared.broken.load(Ordering::Acquire)
    }

    /// Makes an origin known before the classifier uses its number.
    ///
    /// For [`OriginKind::Ingress`] the answer is the interface index of a
    /// second TAP: frames come in there when they are due, and its classifier
    /// has to pass them on to the real device. Loopback needs two sysctls,
    /// which the guardian may put back after `expires_boot_ns` (moved by
    /// [`Line::open`]).
    ///
    /// # Errors
    /// When the number is too large, the socket (or TAP) cannot be had, or a
    /// sysctl cannot be set; nothing is changed then.
    pub fn add_origin(
        &self,
        origin: u16,
        ifindex: u32,
        kind: OriginKind,
        expires_boot_ns: u64,
    ) -> Result<Option<u32>, LineError> {
        if origin > MAX_ORIGIN {
            return Err(LineError::Origin(origin));
        }
        let exit = inject::open(&self.netns, ifindex, kind, self.mark)?;
        let tap = exit.tap_ifindex();
        if kind == OriginKind::Loopback {
            let mut loopback = lock(&self.loopback);
            match &mut loopback.routing {
                Some(routing) => routing.extend(expires_boot_ns)?,
                None => {
                    let routing =
                        LoopbackRouting::set(&self.netns, &self.journal, expires_boot_ns)?;
                    loopback.routing = Some(routing);
                }
            }
            loopback.origins.insert(origin);
        }
        self.tell(Command::AddOrigin(origin, kind, exit))?;
        Ok(tap)
    }

    /// Forgets an origin that the classifier no longer uses; what is held for
    /// it is sent on first. Takes milliseconds: the kernel waits for its
    /// readers when a packet socket or TAP is closed.
    pub fn remove_origin(&self, origin: u16) {
        let (reply, answer) = sync_channel(1);
        if self.tell(Command::RemoveOrigin(origin, reply)).is_ok() {
            drop(answer.recv());
        }
        let mut loopback = lock(&self.loopback);
        if loopback.origins.remove(&origin) && loopback.origins.is_empty() {
            loopback.routing = None;
        }
    }

    /// Begins a rule: counts start at zero, and frames of this slot are held
    /// from now on. To be called before the classifier knows the rule.
    ///
    /// # Errors
    /// When the thread has ended or the journal cannot be written.
    pub fn open(&self, slot: u16, expires_boot_ns: u64) -> Result<(), LineError> {
        if let Some(routing) = &mut lock(&self.loopback).routing {
            routing.extend(expires_boot_ns)?;
        }
        let stats = Arc::new(SlotStats::default());
        lock(&self.slots).insert(slot, Arc::clone(&stats));
        self.tell(Command::Open(slot, stats))
    }

    /// Ends a rule: what is held of it is sent on at once, in order, and so is
    /// what still comes. To be called once the classifier has forgotten the
    /// rule. The counts stay until the slot is opened again.
    pub fn flush(&self, slot: u16) {
        // A line that has stopped holds nothing.
        let _ = self.tell(Command::Close(slot));
    }

    /// What the line did for the rule in this slot.
    pub fn stats(&self, slot: u16) -> LineStats {
        let stats = lock(&self.slots).get(&slot).cloned();
        stats.map(|stats| stats.read()).unwrap_or_default()
    }

    /// Sends on what is held and closes the TAP; returns when both is done.
    pub fn stop(self) {
        drop(self);
    }

    fn tell(&self, command: Command) -> Result<(), LineError> {
        self.commands.send(command).map_err(|_| LineError::Stopped)?;
        if !self.shared.called.swap(true, Ordering::AcqRel) {
            // A full counter wakes just as well.
            let _ = self.wake.write(1);
        }
        Ok(())
    }
}

/// Whether an interface is a TAP of a delay line (this daemon's or another's),
/// which no rule is for.
pub fn is_own(link: &Link) -> bool {
    link.kind.as_deref() == Some("tun") && link.name.starts_with(tap::NAME_PREFIX)
}

/// The maps behind these locks are whole whatever a panic interrupted.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.tell(Command::Stop);
        let Some(thread) = self.thread.take() else { return };
        if thread.join().is_err() {
            tracing::error!("delay line: the thread panicked");
        }
    }
}
