//! What the programs have to say, at debug level.

use std::{
    os::fd::AsFd,
    sync::Arc,
    thread::{self, JoinHandle},
};

use aya::Ebpf;
use aya_log::EbpfLogger;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

use super::PlaneError;

/// Under what name the programs' words appear in the daemon's log.
pub const LOG_TARGET: &str = "faultd::bpf";

/// Reads the log until it is dropped. Its thread sleeps while there is none.
pub struct LogReader {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl LogReader {
    /// Starts to read.
    ///
    /// # Errors
    /// When the object keeps no log, or no thread can be started.
    pub fn start(ebpf: &mut Ebpf) -> Result<Self, PlaneError> {
        let fail = |source| PlaneError::Host { what: "reading the eBPF log".to_owned(), source };
        let logger = EbpfLogger::init_with_logger(ebpf, Forward)
            .map_err(|error| fail(std::io::Error::other(error)))?;
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(|e| fail(e.into()))?;
        let stop = Arc::new(stop);
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("bpf-log".to_owned())
            .spawn(move || run(logger, &told))
            .map_err(fail)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        // An event counter that is written once cannot be full.
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(mut logger: EbpfLogger<Forward>, stop: &EventFd) {
    loop {
        let mut fds = [
            PollFd::new(logger.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return tracing::warn!("reading the eBPF log: {errno}"),
        }
        let stopped = fds[1].revents().is_some_and(|events| !events.is_empty());
        logger.flush();
        if stopped {
            return;
        }
    }
}

/// Hands records on to tracing.
struct Forward;

impl ::log::Log for Forward {
    fn enabled(&self, _: &::log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &::log::Record<'_>) {
        tracing::debug!(target: LOG_TARGET, "{}", record.args());
    }

    fn flush(&self) {}
}
