//! The supervisor: answers the calls that ask, waits for the command, passes
//! signals on.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd, siginfo},
        time::TimeSpec,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::{
    decide::Effect,
    error::RunError,
    fault::Faults,
    guard::Guard,
    listener::{Answer, Listener, Notification},
    shared::Shared,
};

/// Signals that are for the command.
const PASSED_ON: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
];

/// Signals as something to wait for.
pub struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// From here on signals wait to be read.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn install() -> Result<Self, RunError> {
        let mask: SigSet = PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect();
        let failed = |e: Errno| RunError::start("signalfd", e);
        let before =
            mask.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK).map_err(failed)?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self { fd: SignalFd::with_flags(&mask, flags).map_err(failed)?, before })
    }

    /// What was blocked before, and shall be in the command.
    pub fn before(&self) -> SigSet {
        self.before
    }
}

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signaled(Signal),
}

/// A call that is answered when its time has come.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Instant,
    remembered: usize,
    id: u64,
    errno: Option<u16>,
}

/// Everything that the loop works with.
pub struct Supervisor<'a> {
    /// Where calls ask.
    pub listener: &'a Listener,
    /// Known to the guard.
    pub shared: Shared,
    /// Takes over when this process dies.
    pub guard: Guard,
    /// The faults, and what they did.
    pub faults: &'a mut Faults,
    /// The command.
    pub child: Pid,
    /// When the faults end before the command does.
    pub until: Option<Instant>,
}

impl Supervisor<'_> {
    /// Serves until the command has ended.
    ///
    /// # Errors
    /// When waiting fails; the guard then lets every call pass.
    pub fn run(mut self, signals: &Signals) -> Result<Ended, RunError> {
        let mut due = BinaryHeap::new();
        let mut listening = true;
        loop {
            let timeout = due.peek().map(|Reverse(next): &Reverse<Due>| next.at);
            let (calls, signaled) = self.wait(signals, listening, timeout)?;
            if calls.contains(PollFlags::POLLIN) {
                self.serve_next(&mut due)?;
            } else if !calls.is_empty() {
                listening = false; // No process has the filter any more.
            }
            self.answer_due(&mut due, Instant::now());
            if signaled && let Some(ended) = self.take_signals(signals)? {
                // What the command left behind goes on at once.
                self.answer_all(&mut due);
                self.guard.dismiss(self.listener);
                return Ok(ended);
            }
        }
    }

    fn wait(
        &self,
        signals: &Signals,
        listening: bool,
        until: Option<Instant>,
    ) -> Result<(PollFlags, bool), RunError> {
        let left = |at: Instant| TimeSpec::from(at.saturating_duration_since(Instant::now()));
        let mut fds = [
            PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
        ];
        let watched = if listening { &mut fds[..] } else { &mut fds[..1] };
        match ppoll(watched, until.map(left), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(RunError::supervise("ppoll", e)),
        }
        let seen = |fd: &PollFd<'_>| fd.revents().unwrap_or(PollFlags::empty());
        let calls = if listening { seen(&fds[1]) } else { PollFlags::empty() };
        Ok((calls, !seen(&fds[0]).is_empty()))
    }

    fn serve_next(&mut self, due: &mut BinaryHeap<Reverse<Due>>) -> Result<(), RunError> {
        let received = self.listener.receive(self.shared.current());
        let Some(call) = received.map_err(|e| RunError::supervise("receiving a call", e))? else {
            return Ok(());
        };
        let effect = self.effect(&call);
        if effect.delay.is_zero() {
            self.listener.answer(call.id, answer(effect.errno));
            return Ok(());
        }
        let at = Instant::now() + effect.delay;
        match self.shared.remember(call.id) {
            Some(remembered) => {
                due.push(Reverse(Due { at, remembered, id: call.id, errno: effect.errno }));
            }
            // Better too early than never.
            None => {
                self.listener.answer(call.id, answer(effect.errno));
            }
        }
        Ok(())
    }

    fn effect(&mut self, call: &Notification) -> Effect {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Effect::default();
        }
        let waiting = || self.listener.is_waiting(call.id);
        self.faults.meet(call, waiting)
    }

    fn answer_due(&self, due: &mut BinaryHeap<Reverse<Due>>, now: Instant) {
        while let Some(Reverse(next)) = due.peek()
            && next.at <= now
        {
            self.listener.answer(next.id, answer(next.errno));
            self.shared.forget(next.remembered);
            due.pop();
        }
    }

    fn answer_all(&self, due: &mut BinaryHeap<Reverse<Due>>) {
        self.answer_due(due, Instant::now() + Duration::from_secs(3600));
    }

    /// Passes signals on; tells when the command has ended.
    fn take_signals(&mut self, signals: &Signals) -> Result<Option<Ended>, RunError> {
        let mut ended = None;
        while let Some(info) =
            signals.fd.read_signal().map_err(|e| RunError::supervise("signalfd", e))?
        {
            match Signal::try_from(info.ssi_signo.cast_signed()) {
                Ok(Signal::SIGCHLD) => ended = self.reap()?.or(ended),
                // One that has ended meanwhile does not need it.
                Ok(signal) if !is_from_terminal(&info) => drop(kill(self.child, signal)),
                _ => {}
            }
        }
        Ok(ended)
    }

    /// Buries whoever has ended; as the first process of a container we get
    /// those that nobody else waits for.
    fn reap(&mut self) -> Result<Option<Ended>, RunError> {
        let mut ended = None;
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(ended),
                Ok(status) => status,
                Err(Errno::EINTR) => continue,
                Err(e) => return Err(RunError::supervise("waitpid", e)),
            };
            match status {
                WaitStatus::Exited(pid, code) if pid == self.child => {
                    ended = Some(Ended::Exited(code));
                }
                WaitStatus::Signaled(pid, signal, _) if pid == self.child => {
                    ended = Some(Ended::Signaled(signal));
                }
                other if other.pid() == Some(self.guard.pid()) => {
                    self.guard = Guard::start(self.listener, self.shared)
                        .map_err(|e| RunError::supervise("starting another guard", e))?;
                }
                _ => {}
            }
        }
    }
}

/// The terminal signals the whole group in the foreground, so the command too.
fn is_from_terminal(info: &siginfo) -> bool {
    info.ssi_code == libc::SI_KERNEL
}

fn answer(errno: Option<u16>) -> Answer {
    errno.map_or(Answer::Continue, Answer::Fail)
}
