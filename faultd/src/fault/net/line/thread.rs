//! The thread that reads, holds and sends.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender},
    },
};

use crate::{engine::clock::boot_ns, fault::net::realtime::make_punctual};

use super::{
    OriginKind,
    arena::{Arena, Span},
    frame::{self, MAX_READ},
    hold::{Held, Hold},
    inject::Exit,
    stats::SlotStats,
    tap::Tap,
    wait::Waiter,
};

/// The classifier passes packets when the heartbeat is a second old.
const BEAT_NS: u64 = 200_000_000;

/// Frames read or sent before the other side gets a turn.
const BATCH: usize = 64;

/// Chunks that are given back to the kernel at a heartbeat, while frames are
/// held and while none is.
const TRIM_BUSY: usize = 2;
const TRIM_IDLE: usize = 32;

/// What the rest of the daemon asks of the thread.
pub(super) enum Command {
    /// Frames of this slot are held from now on.
    Open(u16, Arc<SlotStats>),
    /// Frames of this slot are sent on at once from now on.
    Close(u16),
    AddOrigin(u16, OriginKind, Exit),
    /// Answered with what was removed: closing it takes the kernel
    /// milliseconds, which the thread has not.
    RemoveOrigin(u16, SyncSender<Option<Exit>>),
    Stop,
}

/// State shared with [`super::Line`].
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Commands wait.
    pub called: AtomicBool,
    /// The TAP was taken away; nothing is held any more.
    pub broken: AtomicBool,
}

#[derive(Clone, Copy)]
struct Frame {
    span: Span,
    delay_us: u32,
    slot: u16,
    origin: u16,
    skip: u32,
    protocol: u16,
}

struct Slot {
    stats: Arc<SlotStats>,
    open: bool,
}

/// Everything the thread owns.
pub(super) struct Worker {
    pub tap: Tap,
    pub wake: OwnedFd,
    pub commands: Receiver<Command>,
    pub shared: Arc<Shared>,
    pub heartbeat: Box<dyn FnMut(u64) + Send>,
    hold: Hold<Frame>,
    arena: Arena,
    slots: Vec<Option<Slot>>,
    origins: Vec<Option<(OriginKind, Exit)>>,
    waiter: Waiter,
    last_beat: u64,
    stopping: bool,
}

/// What is left when the thread ends: closing it takes the kernel tens of
/// milliseconds, and whoever waits for the thread decides when.
pub(super) struct Remains {
    _tap: Tap,
    _origins: Vec<Option<(OriginKind, Exit)>>,
}

/// Puts `value` at `index`, growing the table.
fn put<T>(table: &mut Vec<Option<T>>, index: u16, value: T) {
    let index = usize::from(index);
    if table.len() <= index {
        table.resize_with(index + 1, || None);
    }
    table[index] = Some(value);
}

impl Worker {
    pub fn new(
        tap: Tap,
        wake: OwnedFd,
        commands: Receiver<Command>,
        shared: Arc<Shared>,
        heartbeat: Box<dyn FnMut(u64) + Send>,
        max_bytes: usize,
    ) -> Self {
        Self {
            tap,
            wake,
            commands,
            shared,
            heartbeat,
            hold: Hold::new(),
            arena: Arena::new(max_bytes),
            slots: Vec::new(),
            origins: Vec::new(),
            waiter: Waiter::new(),
            last_beat: 0,
            stopping: false,
        }
    }

    pub fn run(mut self) -> Remains {
        make_punctual("the delay line");
        while !self.stopping {
            let now = boot_ns();
            self.beat(now);
            self.obey();
            self.release(now);
            // A command that ends the thread has been heard, and wakes it no more.
            if self.read() && !self.stopping {
                self.wait();
            }
        }
        self.read_all();
        for held in self.hold.extract(|_| true) {
            self.flush_one(held);
        }
        Remains { _tap: self.tap, _origins: self.origins }
    }

    /// Tells the classifier that the line lives, and tidies up.
    fn beat(&mut self, now: u64) {
        if now.saturating_sub(self.last_beat) < BEAT_NS {
            return;
        }
        self.last_beat = now;
        if !self.is_broken() {
            (self.heartbeat)(now);
        }
        if self.hold.is_empty() {
            self.arena.trim(TRIM_IDLE);
            self.hold.shrink();
        } else {
            self.arena.trim(TRIM_BUSY);
        }
    }

    fn is_broken(&self) -> bool {
        self.shared.broken.load(Ordering::Relaxed)
    }

    fn obey(&mut self) {
        if !self.shared.called.load(Ordering::Acquire) {
            return;
        }
        // In this order: a command that comes in between is read below, and at
        // worst wakes the thread once more for nothing.
        drain(&self.wake);
        self.shared.called.swap(false, Ordering::AcqRel);
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Open(slot, stats) => {
                    put(&mut self.slots, slot, Slot { stats, open: true });
                }
                Command::Close(slot) => self.close(slot),
                Command::AddOrigin(origin, kind, exit) => {
                    put(&mut self.origins, origin, (kind, exit));
                }
                Command::RemoveOrigin(origin, reply) => {
                    let exit = self.remove_origin(origin);
                    // The caller may have given up; then it is closed here.
                    let _ = reply.try_send(exit);
                }
                Command::Stop => self.stopping = true,
            }
        }
    }

    fn close(&mut self, slot: u16) {
        // What is in the TAP came before the rule ended.
        self.read_all();
        if let Some(Some(slot)) = self.slots.get_mut(usize::from(slot)) {
            slot.open = false;
        }
        for held in self.hold.extract(|frame| frame.slot == slot) {
            self.flush_one(held);
        }
    }

    fn remove_origin(&mut self, origin: u16) -> Option<Exit> {
        self.read_all();
        for held in self.hold.extract(|frame| frame.origin == origin) {
            self.flush_one(held);
        }
        let (_, exit) = self.origins.get_mut(usize::from(origin))?.take()?;
        Some(exit)
    }

    /// Sends what is due, up to a batch.
    fn release(&mut self, mut now: u64) {
        for _ in 0..BATCH {
            let Some(held) = self.hold.pop_due(now) else { return };
            let late = now.saturating_sub(held.deadline);
            if self.send(&held.item)
                && let Some(stats) = self.stats(held.item.slot)
            {
                stats.delivered(held.item.delay_us, late);
            }
            now = boot_ns();
        }
    }

    fn flush_one(&mut self, held: Held<Frame>) {
        if self.send(&held.item)
            && let Some(stats) = self.stats(held.item.slot)
        {
            stats.flushed();
        }
    }

    fn stats(&self, slot: u16) -> Option<&SlotStats> {
        Some(&self.slots.get(usize::from(slot))?.as_ref()?.stats)
    }

    /// Sends a frame and gives its memory back. False if the kernel refused.
    fn send(&mut self, frame: &Frame) -> bool {
        let exit = self.origins.get(usize::from(frame.origin)).and_then(Option::as_ref);
        let bytes = self.arena.bytes(frame.span.skip(frame.skip));
        let result = match exit {
            Some((_, exit)) => exit.send(bytes, frame.protocol),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        self.arena.release(frame.span);
        if let Err(error) = &result {
            tracing::trace!(%error, slot = frame.slot, "delay line: frame not taken back");
            if let Some(stats) = self.stats(frame.slot) {
                stats.refused();
            }
        }
        result.is_ok()
    }

    /// Reads until the TAP is empty.
    fn read_all(&mut self) {
        while !self.read() {}
    }

    /// Reads up to a batch; true when the TAP is empty.
    fn read(&mut self) -> bool {
        if self.is_broken() {
            return true;
        }
        for _ in 0..BATCH {
            let Some(room) = self.arena.room(MAX_READ) else { return self.discard() };
            match self.tap.read(&mut room[..MAX_READ]) {
                Ok(Some(len)) => self.accept(len),
                Ok(None) => return true,
                Err(error) => {
                    self.break_down(&error);
                    return true;
                }
            }
        }
        false
    }

    /// Memory is full: frames are read to be dropped, and counted.
    fn discard(&mut self) -> bool {
        let mut head = [0; 64];
        for _ in 0..BATCH {
            match self.tap.read(&mut head) {
                Ok(Some(len)) => {
                    let slot = frame::parse(&head[..len.min(64)]).map(|frame| frame.meta.slot);
                    if let Some(stats) = slot.and_then(|slot| self.stats(slot)) {
                        stats.overflow();
                    }
                }
                Ok(None) => return true,
                Err(error) => {
                    self.break_down(&error);
                    return true;
                }
            }
        }
        false
    }

    /// Someone deleted the TAP or took it down. No heartbeat any more, so
    /// packets pass; what is held leaves at its time.
    fn break_down(&mut self, error: &io::Error) {
        tracing::error!(%error, "delay line: the TAP is gone, packets are no longer delayed");
        self.shared.broken.store(true, Ordering::Release);
    }

    /// Takes in the frame of `len` bytes that was read into the arena's room.
    fn accept(&mut self, len: usize) {
        let now = boot_ns();
        let Some(span) = self.arena.commit(len) else { return };
        let Some((frame, deadline)) = self.admit(span, now) else {
            self.arena.release(span); // not one of ours
            return;
        };
        if !self.is_open(frame.slot) {
            // Perhaps the command that opens it has not been read.
            self.obey();
        }
        if self.is_open(frame.slot) {
            self.hold.push(deadline, frame);
        } else if self.send(&frame)
            && let Some(stats) = self.stats(frame.slot)
        {
            stats.flushed();
        }
    }

    fn is_open(&self, slot: u16) -> bool {
        matches!(self.slots.get(usize::from(slot)), Some(Some(slot)) if slot.open)
    }

    fn admit(&mut self, span: Span, now: u64) -> Option<(Frame, u64)> {
        let bytes = self.arena.bytes(span);
        let parsed = frame::parse(bytes)?;
        let meta = parsed.meta;
        let known =
            |origins: &[Option<_>]| matches!(origins.get(usize::from(meta.origin)), Some(Some(_)));
        if !known(&self.origins) {
            self.obey();
        }
        let (kind, _) = self.origins.get(usize::from(meta.origin))?.as_ref()?;
        let shaped = frame::shape(self.arena.bytes(span), &parsed, *kind)?;
        let frame = Frame {
            span,
            delay_us: meta.delay_us,
            slot: meta.slot,
            origin: meta.origin,
            skip: shaped.skip,
            protocol: shaped.protocol,
        };
        Some((frame, meta.deadline_boot_ns(now)))
    }

    /// Sleeps until a frame comes, a command comes, or the next frame is due.
    fn wait(&mut self) {
        let beat = self.last_beat + BEAT_NS;
        let (until, exact) = match self.hold.next_deadline() {
            Some(deadline) if deadline <= beat => (deadline, true),
            _ => (beat, false),
        };
        let sources = [self.wake.as_fd(), self.tap.as_fd()];
        let watched = if self.is_broken() { &sources[..1] } else { &sources[..] };
        self.waiter.wait(until, exact, watched, &self.shared.called);
    }
}

/// Takes the count out of an eventfd.
fn drain(wake: &OwnedFd) {
    let mut count = 0_u64;
    // SAFETY: an eventfd yields eight bytes, for which `count` has room; it is
    // non-blocking, and an empty one is fine.
    unsafe { libc::read(wake.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
}
