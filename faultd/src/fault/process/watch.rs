//! A thread beside a fault that lasts: it waits for what happens to the
//! processes, and ends with the fault.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

/// One that does not end by then is left to itself: it waits for the kernel.
const PATIENCE: Duration = Duration::from_millis(500);

/// The thread; dropped, it is told to end.
pub struct Watch {
    stop: Arc<EventFd>,
    /// Disconnected when the thread is through.
    through: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// The thread's side: how it sleeps, and learns that it has to end.
pub struct Stop(Arc<EventFd>);

impl Watch {
    /// Starts a thread under a name of at most 15 bytes.
    ///
    /// # Errors
    /// When there is no descriptor or thread left for it.
    pub fn start(name: &str, body: impl FnOnce(&Stop) + Send + 'static) -> io::Result<Self> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let theirs = Stop(Arc::clone(&stop));
        let (running, through) = mpsc::channel();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _running = running;
            body(&theirs);
        })?;
        Ok(Self { stop, through, thread: Some(thread) })
    }

    /// Tells the thread to end, and waits for that, though not for long.
    pub fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // Fails only when it was told 2^64-2 times.
        let _ = self.stop.write(1);
        if self.through.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("thread {:?} still waits for the kernel", thread.thread().name());
            return;
        }
        if thread.join().is_err() {
            tracing::error!("a thread beside a fault has panicked");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

impl Stop {
    /// Sleeps for `limit`; returns early with true when the thread has to end.
    pub fn wait(&self, limit: Duration) -> bool {
        self.wait_for(std::iter::empty(), limit)
    }

    /// The same, and returns early with false when one of the descriptors is
    /// readable.
    pub fn wait_for<'a>(
        &'a self,
        descriptors: impl Iterator<Item = BorrowedFd<'a>>,
        limit: Duration,
    ) -> bool {
        let own = std::iter::once(self.0.as_fd());
        let mut fds: Vec<PollFd<'_>> =
            own.chain(descriptors).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // Rounded up: a wait that ends too early would be repeated at once.
        let limit = PollTimeout::try_from(limit + Duration::from_micros(999));
        match poll(&mut fds, limit.unwrap_or(PollTimeout::MAX)) {
            Ok(_) => fds.first().is_some_and(|own| own.any().unwrap_or(false)),
            Err(Errno::EINTR) => false,
            // Without memory for it: better too early than too late.
            Err(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn ends_when_told() -> io::Result<()> {
        let start = Instant::now();
        let (tell, told) = mpsc::channel();
        let mut watch = Watch::start("test", move |stop| {
            assert!(!stop.wait(Duration::from_millis(20)));
            let _ = tell.send(());
            assert!(stop.wait(Duration::from_secs(60)));
            assert!(stop.wait(Duration::from_secs(60)), "it stays told");
            let _ = tell.send(());
        })?;
        assert!(told.recv_timeout(Duration::from_secs(60)).is_ok(), "it waited");
        watch.end();
        assert!(told.try_recv().is_ok(), "it was told");
        assert!(start.elapsed() > Duration::from_millis(20));
        Ok(())
    }

    #[test]
    fn wakes_when_a_process_ends() -> io::Result<()> {
        let mut child = std::process::Command::new("true").spawn()?;
        let pidfd = crate::host::process::pidfd::open(child.id())?;
        let (tell, told) = mpsc::channel();
        let mut watch = Watch::start("test", move |stop| {
            let _ = tell.send(stop.wait_for([pidfd.as_fd()].into_iter(), Duration::from_secs(60)));
        })?;
        assert_eq!(told.recv_timeout(Duration::from_secs(30)), Ok(false));
        watch.end();
        child.wait()?;
        Ok(())
    }
}
