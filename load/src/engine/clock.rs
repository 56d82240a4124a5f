//! Time in one worker: the clock of the run, and timers that keep to it.
//!
//! Tokio's timers count milliseconds; a request that is due has to leave within tens of
//! microseconds. So one timerfd a worker, armed for the nearest of all its timers, wakes the event
//! loop by itself.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BinaryHeap,
    future::poll_fn,
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use nix::{
    sys::{
        time::{TimeSpec, TimeValLike},
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
    time::{ClockId as Clocks, clock_gettime},
};
use tokio::io::{Interest, unix::AsyncFd};

/// No time.
const NEVER: u64 = u64::MAX;

/// The zero of a run's clock on `CLOCK_MONOTONIC`; the same for all its threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// Nanoseconds.
    monotonic: u64,
}

fn monotonic() -> u64 {
    // Linux has this clock, always.
    clock_gettime(Clocks::CLOCK_MONOTONIC).map_or(0, |now| now.num_nanoseconds().unsigned_abs())
}

impl Epoch {
    /// The run begins so long from now.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Self { monotonic: monotonic() + crate::schedule::nanos(delay) }
    }

    /// Nanoseconds since the run began; 0 before.
    #[must_use]
    pub fn now(self) -> u64 {
        monotonic().saturating_sub(self.monotonic)
    }

    /// A reading of `CLOCK_MONOTONIC` as time of the run; 0 for what was before it.
    #[must_use]
    pub fn of_monotonic(self, nanos: u64) -> u64 {
        nanos.saturating_sub(self.monotonic)
    }
}

/// One timer; set again and again by its owner.
#[derive(Debug, Default)]
pub struct Timer {
    /// When it fires; [`NEVER`] when it does not.
    at: Cell<u64>,
    /// When the heap has it; 0: not at all.
    queued: Cell<u64>,
    fired: Cell<bool>,
    /// Fires early when the run is stopped.
    interruptible: bool,
    waker: RefCell<Option<Waker>>,
}

impl Timer {
    /// One for a pause, which ends when the run does.
    #[must_use]
    pub fn interruptible() -> Self {
        Self { interruptible: true, ..Self::default() }
    }

    fn fire(&self) {
        self.at.set(NEVER);
        self.fired.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether it has fired since it was set; if not, the task is woken when it does.
    pub fn poll(&self, cx: &Context<'_>) -> bool {
        if self.fired.get() {
            return true;
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        false
    }

    /// It no longer fires.
    pub fn unset(&self) {
        self.at.set(NEVER);
        self.fired.set(false);
    }
}

/// A timer in the heap; the nearest one is the greatest.
struct Queued {
    at: Reverse<u64>,
    timer: Rc<Timer>,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// The timerfd as tokio wants it.
struct Fd(TimerFd);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// The timers of one worker.
pub struct Clock {
    epoch: Epoch,
    heap: RefCell<BinaryHeap<Queued>>,
    fd: AsyncFd<Fd>,
    /// What the timerfd is armed for.
    armed: Cell<u64>,
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Clock {
    /// A clock without timers; [`Self::run`] has to run beside its users.
    ///
    /// # Errors
    /// The kernel has no descriptor for the timer.
    pub fn new(epoch: Epoch) -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let fd = Fd(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?);
        // SAFETY: the descriptor is owned by what is registered, and is the same all its life.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
        Ok(Self { epoch, heap: RefCell::default(), fd, armed: Cell::new(NEVER) })
    }

    /// Nanoseconds since the run began.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.epoch.now()
    }

    /// Sets `timer` to fire at `at`. Putting it off, as each request does with the limit on its
    /// answer, costs nothing: the heap learns of it when the earlier time has come.
    pub fn set(&self, timer: &Rc<Timer>, at: u64) {
        timer.fired.set(false);
        timer.at.set(at);
        let queued = timer.queued.get();
        if at != NEVER && (queued == 0 || at < queued) {
            timer.queued.set(at.max(1));
            let entry = Queued { at: Reverse(at.max(1)), timer: Rc::clone(timer) };
            self.heap.borrow_mut().push(entry);
            if at < self.armed.get() {
                self.arm(at);
            }
        }
    }

    /// Waits until `at`; not at all if that has passed.
    pub async fn sleep(&self, timer: &Rc<Timer>, at: u64) {
        // Before the run its clock stands at zero: what is due at its start has to wait for it.
        let at = at.max(1);
        if self.now() >= at {
            return;
        }
        self.set(timer, at);
        poll_fn(|cx| if timer.poll(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Fires the timers. Never ends.
    ///
    /// # Errors
    /// The timerfd cannot be waited for.
    pub async fn run(&self) -> io::Result<()> {
        loop {
            let next = self.fire();
            if next != NEVER {
                self.arm(next);
            }
            // Setting the timer takes its expirations back, so it is never read.
            self.fd.readable().await?.clear_ready();
            self.armed.set(NEVER);
        }
    }

    /// Fires what is due; returns when the next one is.
    fn fire(&self) -> u64 {
        loop {
            let now = self.now();
            let mut heap = self.heap.borrow_mut();
            let Some(first) = heap.peek() else { return NEVER };
            let Reverse(at) = first.at;
            if at > now {
                return at;
            }
            let Some(Queued { timer, .. }) = heap.pop() else { return NEVER };
            if timer.queued.get() != at {
                continue; // It was set to an earlier time since, and has fired then.
            }
            timer.queued.set(0);
            match timer.at.get() {
                NEVER => {}
                later if later > now => {
                    timer.queued.set(later);
                    heap.push(Queued { at: Reverse(later), timer });
                }
                _ => {
                    drop(heap);
                    timer.fire();
                }
            }
        }
    }

    /// Fires all timers that can be interrupted.
    pub fn interrupt(&self) {
        let all: Vec<_> = self.heap.borrow().iter().map(|entry| Rc::clone(&entry.timer)).collect();
        all.iter().filter(|t| t.interruptible && t.at.get() != NEVER).for_each(|t| t.fire());
    }

    fn arm(&self, at: u64) {
        self.armed.set(at);
        let absolute = Duration::from_nanos(self.epoch.monotonic + at);
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        // Fails on times that no clock has.
        let set = self.fd.get_ref().0.set(Expiration::OneShot(TimeSpec::from(absolute)), flags);
        debug_assert!(set.is_ok(), "{set:?}");
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    #[test]
    fn nothing_happens_before_the_run_begins() {
        let runtime =
            Builder::new_current_thread().enable_io().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let started = std::time::Instant::now();
            let clock = Rc::new(Clock::new(Epoch::after(Duration::from_millis(30))).unwrap());
            let running = Rc::clone(&clock);
            tokio::task::spawn_local(async move { running.run().await });
            clock.sleep(&Rc::default(), 0).await;
            assert!(started.elapsed() >= Duration::from_millis(30), "{:?}", started.elapsed());
        });
    }

    #[test]
    fn timers_fire_in_order_and_can_be_put_off() {
        let runtime =
            Builder::new_current_thread().enable_io().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let clock = Rc::new(Clock::new(Epoch::after(Duration::ZERO)).unwrap());
            let running = Rc::clone(&clock);
            tokio::task::spawn_local(async move { running.run().await });
            let (deadline, timer) = (Rc::new(Timer::default()), Rc::new(Timer::default()));
            let start = clock.now();
            let ms = |n: u64| start + n * 1_000_000;
            clock.set(&deadline, ms(20));
            clock.sleep(&timer, ms(10)).await;
            assert!(clock.now() >= ms(10));
            clock.set(&deadline, ms(60));
            clock.sleep(&timer, ms(40)).await;
            assert!(!deadline.fired.get(), "it was put off");
            clock.sleep(&timer, ms(70)).await;
            assert!(deadline.fired.get());
            deadline.unset();
            clock.sleep(&timer, ms(1)).await;
            assert!(clock.now() >= ms(70), "no waiting for what has passed");
        });
    }
}
