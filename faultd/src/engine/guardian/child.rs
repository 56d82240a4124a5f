//! The guardian's side: what `faultd guardian` does.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigHandler, Signal, signal},
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
    unistd,
};

use super::{GRACE_NS, LEAVE, NOTHING_PENDING};
use crate::{
    engine::{
        clock,
        journal::{FILE_NAME, JournalFile, ReplayReport, Which, replay},
        reserve::Reserve,
    },
    host::cgroup,
};

/// Undos that fail are tried this often.
const TRIES: u32 = 5;
/// Wait before the second try; doubled before each further one.
const RETRY: Duration = Duration::from_millis(100);
const LOG_NAME: &str = "guardian.log";
/// The log starts anew when it is larger than this.
const MAX_LOG: u64 = 1024 * 1024;

/// Runs as the guardian of the daemon at the other end of standard input.
/// Returns when the daemon has gone and everything is taken back.
///
/// # Errors
/// When the journal cannot be opened, or sleeping fails.
pub fn run(state_dir: &Path, generation: u64) -> io::Result<ExitCode> {
    detach();
    let journal = JournalFile::open_existing(&state_dir.join(FILE_NAME))?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no journal"))?;
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let mut guardian = Guardian {
        journal,
        generation,
        log: state_dir.join(LOG_NAME),
        timer: TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?,
        reserve: Reserve::new()?,
        due: None,
        failures: 0,
    };
    protect();
    guardian.warm_up()?;
    ready()?;
    guardian.watch()
}

/// Out of the daemon's session, deaf to what is meant for the daemon.
fn detach() {
    // Fails when this process leads its group already: then it is alone in it.
    let _ = unistd::setsid();
    for number in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGQUIT] {
        // SAFETY: SIG_IGN runs no code of ours.
        let _ = unsafe { signal(number, SigHandler::SigIgn) };
    }
    let _ = nix::sys::prctl::set_name(c"faultd-guardian");
}

/// Out of the way of the out-of-memory killer and of swapping, as far as this
/// process may; the systemd unit grants both. Pages stay once they were used,
/// and `warm_up` uses those that matter: locking the whole executable would
/// take many times the memory.
fn protect() {
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    let what = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: mlockall(2) takes no pointers and changes no content.
    let _ = unsafe { libc::mlockall(what) };
}

/// Tells the daemon that it is guarded from now on.
fn ready() -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(b"R")?;
    stdout.flush()?;
    // The daemon reads no more; /dev/null keeps the number taken.
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    Ok(unistd::dup2_stdout(null)?)
}

struct Guardian {
    journal: JournalFile,
    generation: u64,
    log: PathBuf,
    timer: TimerFd,
    reserve: Reserve,
    /// When to look for overdue undos, on the boot clock.
    due: Option<u64>,
    failures: u32,
}

impl Guardian {
    fn watch(&mut self) -> io::Result<ExitCode> {
        loop {
            self.arm()?;
            if self.sleep()? {
                match self.hear()? {
                    Heard::Deadlines => {}
                    Heard::Leave => return Ok(ExitCode::SUCCESS),
                    Heard::End => return Ok(self.take_over()),
                }
            }
            let now = clock::boot_ns();
            if self.due.is_some_and(|due| due <= now) {
                self.replay_overdue(now);
            }
        }
    }

    /// Goes the way of a replay once, with nothing overdue.
    fn warm_up(&mut self) -> io::Result<()> {
        self.reserve.ensure();
        let report = replay(&self.journal, Some(self.generation), Which::Overdue(0))?;
        self.due = report.next_boot_ns.map(|at| at.saturating_add(GRACE_NS));
        Ok(())
    }

    fn arm(&self) -> io::Result<()> {
        match self.due {
            Some(at) => {
                let at = TimeSpec::from(Duration::from_nanos(at.max(1)));
                let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
                Ok(self.timer.set(Expiration::OneShot(at), absolute)?)
            }
            None => Ok(self.timer.unset()?),
        }
    }

    /// Returns whether the daemon said something, or is gone.
    fn sleep(&self) -> io::Result<bool> {
        let stdin = io::stdin();
        let mut fds = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.timer.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => Ok(fds[0].any().unwrap_or(false)),
            Err(Errno::EINTR) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn hear(&mut self) -> io::Result<Heard> {
        // Whole words: the daemon writes them in one piece, and pipes keep
        // pieces of this size together (pipe(7), PIPE_BUF).
        let mut words = [0; 4096];
        let len = io::stdin().lock().read(&mut words)?;
        if len == 0 {
            return Ok(Heard::End);
        }
        for word in words[..len].as_chunks::<8>().0 {
            self.due = match u64::from_le_bytes(*word) {
                LEAVE => return Ok(Heard::Leave),
                NOTHING_PENDING => None,
                at => Some(at.saturating_add(GRACE_NS)),
            };
        }
        Ok(Heard::Deadlines)
    }

    fn replay_overdue(&mut self, now: u64) {
        self.reserve.ensure();
        let which = Which::Overdue(now.saturating_sub(GRACE_NS));
        let report = match replay(&self.journal, Some(self.generation), which) {
            Ok(report) => report,
            Err(e) => {
                self.say(&format!("the journal could not be read: {e}"));
                ReplayReport::default()
            }
        };
        self.tell("the daemon let its time pass", &report);
        self.due = report.next_boot_ns.map(|at| at.saturating_add(GRACE_NS));
        if report.failed().next().is_none() {
            self.failures = 0;
            return;
        }
        self.failures += 1;
        if self.failures < TRIES {
            let wait = RETRY * 2_u32.pow(self.failures);
            let again = now + u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX / 2);
            self.due = Some(self.due.map_or(again, |due| due.min(again)));
        }
    }

    /// The daemon is dead.
    fn take_over(&mut self) -> ExitCode {
        let mut wait = RETRY;
        for attempt in 1..=TRIES {
            self.reserve.ensure();
            match replay(&self.journal, Some(self.generation), Which::All) {
                Ok(report) => {
                    cgroup::sweep();
                    self.tell("the daemon is gone", &report);
                    if report.failed().next().is_none() {
                        return ExitCode::SUCCESS;
                    }
                }
                Err(e) => self.say(&format!("the journal could not be read: {e}")),
            }
            if attempt < TRIES {
                thread::sleep(wait);
                wait *= 2;
            }
        }
        self.say("giving up; `faultd recover` tries again");
        ExitCode::FAILURE
    }

    fn tell(&self, why: &str, report: &ReplayReport) {
        for entry in &report.entries {
            let (owner, what) = (&entry.owner, &entry.what);
            match &entry.error {
                None => self.say(&format!("{why}: {owner}: undone: {what}")),
                Some(e) => self.say(&format!("{why}: {owner}: NOT undone: {e}")),
            }
        }
    }

    /// To the daemon's log, and to a file for when nobody reads that any more.
    fn say(&self, text: &str) {
        let line = format!("{} faultd guardian: {text}\n", clock::wall());
        let _ = io::stderr().write_all(line.as_bytes());
        if fs::metadata(&self.log).is_ok_and(|meta| meta.len() > MAX_LOG) {
            let _ = fs::remove_file(&self.log);
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let _ = options.open(&self.log).and_then(|mut log| log.write_all(line.as_bytes()));
    }
}

/// What came through the pipe.
enum Heard {
    Deadlines,
    Leave,
    End,
}
