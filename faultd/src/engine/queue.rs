//! How jobs reach the executor, and what it sleeps on.

use std::{
    collections::VecDeque,
    io,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        eventfd::{EfdFlags, EventFd},
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
};

/// Jobs for one thread, which sleeps without a timeout while there is none.
pub(super) struct Queue<T> {
    jobs: Mutex<Jobs<T>>,
    wake: EventFd,
}

struct Jobs<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let jobs = Jobs { waiting: VecDeque::new(), closed: false };
        Ok(Self { jobs: Mutex::new(jobs), wake })
    }

    /// Hands a job over; gives it back when the executor has ended.
    pub(super) fn push(&self, job: T) -> Result<(), T> {
        {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            if jobs.closed {
                return Err(job);
            }
            jobs.waiting.push_back(job);
        }
        // Fails only when 2^64-2 wake-ups are pending already.
        let _ = self.wake.write(1);
        Ok(())
    }

    pub(super) fn pop(&self) -> Option<T> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).waiting.pop_front()
    }

    /// Takes no more jobs and drops those that wait.
    pub(super) fn close(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.closed = true;
        jobs.waiting.clear();
    }
}

/// A deadline on CLOCK_BOOTTIME, which goes on while the machine sleeps.
pub(super) struct Alarm(TimerFd);

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self(TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?))
    }

    /// Sleeps until there may be a job or the deadline has passed.
    pub(super) fn sleep<T>(&self, queue: &Queue<T>, deadline: Option<u64>) -> io::Result<()> {
        match deadline {
            Some(at) => {
                // An absolute time in the past fires at once; zero would disarm.
                let at = TimeSpec::from(Duration::from_nanos(at.max(1)));
                let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
                self.0.set(Expiration::OneShot(at), absolute)?;
            }
            None => self.0.unset()?,
        }
        let mut fds = [
            PollFd::new(queue.wake.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.0.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        // Non-blocking: takes the wake-ups back; none pending is no error. The
        // timer needs no reading: it is set anew before each sleep.
        let _ = queue.wake.read();
        Ok(())
    }
}
