//! The daemon's side: starts a guardian and sees to it that there is one.

use std::{
    fs::File,
    io::{self, PipeWriter, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use tokio::io::unix::AsyncFd;

use super::{GuardianStatus, LEAVE};
use crate::engine::journal::Journal;

/// A guardian that is not ready after so many milliseconds is broken.
const READY_PATIENCE: u16 = 5000;
/// One that does not go by then is stopped; it will when it is continued.
const LEAVE_PATIENCE: u16 = 1000;
/// One that lived at least this long is replaced at once; others with delay.
const STEADY: Duration = Duration::from_secs(10);
const MAX_DELAY: Duration = Duration::from_secs(30);

/// Keeps a guardian running.
pub struct Keeper {
    /// This executable, kept open: it may have been replaced or deleted since.
    exe: File,
    state_dir: PathBuf,
    journal: Journal,
    status: Arc<GuardianStatus>,
    running: Option<Running>,
}

struct Running {
    child: Child,
    pidfd: AsyncFd<OwnedFd>,
    pipe: PipeWriter,
    since: Instant,
}

impl Keeper {
    /// Starts the first guardian. Must be called within the async runtime.
    ///
    /// # Errors
    /// When it cannot be started, or does not get ready.
    pub fn start(state_dir: PathBuf, journal: Journal) -> io::Result<Self> {
        let exe = File::open("/proc/self/exe")?;
        let status = Arc::default();
        let mut keeper = Self { exe, state_dir, journal, status, running: None };
        keeper.running = Some(keeper.spawn()?);
        Ok(keeper)
    }

    /// What is known of it, for health and metrics.
    pub fn status(&self) -> Arc<GuardianStatus> {
        Arc::clone(&self.status)
    }

    /// Replaces the guardian whenever it dies; never returns.
    pub async fn keep(&mut self) -> std::convert::Infallible {
        let mut delay = Duration::ZERO;
        loop {
            let since = self.running.as_ref().map(|r| r.since);
            self.until_it_dies().await;
            if since.is_some_and(|since| since.elapsed() >= STEADY) {
                delay = Duration::ZERO;
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).clamp(Duration::from_millis(10), MAX_DELAY);
            match self.spawn() {
                Ok(running) => self.running = Some(running),
                Err(e) => tracing::error!("the guardian cannot be started: {e}"),
            }
        }
    }

    async fn until_it_dies(&mut self) {
        let Some(running) = &self.running else { return };
        // A pidfd is readable when its process is gone (pidfd_open(2)). It stays
        // in `self` meanwhile: this may be cancelled, and the guardian lives on.
        if let Err(e) = running.pidfd.readable().await.map(drop) {
            tracing::error!("the guardian cannot be watched: {e}");
        }
        let Some(mut running) = self.running.take() else { return };
        self.journal.set_listener(None);
        self.status.gone();
        match running.child.wait() {
            Ok(how) => tracing::error!("the guardian died ({how}); starting another"),
            Err(e) => tracing::error!("the guardian died ({e}); starting another"),
        }
    }

    fn spawn(&self) -> io::Result<Running> {
        let (reader, pipe) = io::pipe()?;
        // A guardian that does not read must not hold the daemon up.
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let generation = self.journal.generation()?;
        let mut child = Command::new(format!("/proc/self/fd/{}", self.exe.as_raw_fd()))
            .arg0("faultd")
            .args(["guardian", "--generation", &generation.to_string(), "--state-dir"])
            .arg(&self.state_dir)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("FAULTD_FAILPOINT")
            .current_dir("/")
            .stdin(reader)
            .stdout(Stdio::piped())
            .spawn()?;
        if let Err(e) = await_ready(&mut child) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(e);
        }
        self.status.started(child.id());
        self.journal.set_listener(Some(Box::new(pipe.try_clone()?)));
        let pidfd = pidfd_open(child.id())?;
        // SAFETY: an OwnedFd always gives the same descriptor and closes it
        // only when dropped, which AsyncFd does after deregistering it.
        let pidfd = unsafe { AsyncFd::register(pidfd) }?;
        Ok(Running { child, pidfd, pipe, since: Instant::now() })
    }

    /// Sends the guardian home, everything being taken back.
    pub fn dismiss(mut self) {
        self.journal.set_listener(None);
        if let Some(running) = self.running.take()
            && let Err(e) = say_leave(running)
        {
            tracing::warn!("the guardian did not hear the word of leave: {e}");
        }
        self.status.gone();
    }
}

fn say_leave(mut running: Running) -> io::Result<()> {
    running.pipe.write_all(&LEAVE.to_le_bytes())?;
    let mut fds = [PollFd::new(running.pidfd.get_ref().as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, PollTimeout::from(LEAVE_PATIENCE))? == 0 {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not end"));
    }
    running.child.wait().map(drop)
}

fn await_ready(child: &mut Child) -> io::Result<()> {
    let Some(mut stdout) = child.stdout.take() else {
        return Err(io::Error::other("the guardian has no standard output"));
    };
    let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, PollTimeout::from(READY_PATIENCE))? == 0 {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the guardian does not get ready"));
    }
    let mut word = [0];
    match stdout.read(&mut word)? {
        1 if word == *b"R" => Ok(()),
        _ => Err(io::Error::other("the guardian ended before it was ready")),
    }
}

fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;

    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: pidfd_open(2) takes no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, libc::PIDFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just handed this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
