//! A process that holds memory, in a memory control group of its own.

use std::{fs, ptr, time::Duration};

use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork},
};

use crate::{cgroup::Cgroup, eventually};

/// A process with memory of its own; killed when dropped.
pub struct Hog {
    pid: Pid,
    status: Option<WaitStatus>,
}

impl Hog {
    /// Starts one that uses `bytes`, all of them charged to `group`.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn start(group: &Cgroup, bytes: usize) -> Self {
        let (gate, release) = nix::unistd::pipe().expect("pipe");
        let (ready, tell) = nix::unistd::pipe().expect("pipe");
        // SAFETY: the child only makes system calls on memory and descriptors
        // of its own, and never returns.
        let pid = match unsafe { fork() }.expect("fork") {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                drop(release);
                let _ = prctl::set_pdeathsig(Signal::SIGKILL);
                let _ = nix::unistd::setsid();
                let _ = nix::unistd::read(&gate, &mut [0]);
                fill(bytes);
                let _ = nix::unistd::write(&tell, &[1]);
                loop {
                    // SAFETY: waits for a signal, and touches nothing.
                    unsafe { libc::pause() };
                }
            }
        };
        drop((gate, tell));
        let hog = Self { pid, status: None };
        group.add(hog.pid());
        nix::unistd::write(&release, &[1]).expect("releasing the hog");
        let got = nix::unistd::read(&ready, &mut [0]).unwrap_or(0);
        assert_eq!(got, 1, "the hog did not come up");
        hog
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Exempts it from the kernel's choice; false where that is not allowed.
    pub fn exempt(&self) -> bool {
        fs::write(format!("/proc/{}/oom_score_adj", self.pid), "-1000").is_ok()
    }

    /// The signal that ended it, if one did.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn killed_by(&mut self) -> Option<Signal> {
        if self.status.is_none() {
            let status = waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).expect("waitpid");
            self.status = Some(status).filter(|s| *s != WaitStatus::StillAlive);
        }
        match self.status {
            Some(WaitStatus::Signaled(_, signal, _)) => Some(signal),
            _ => None,
        }
    }

    /// Waits until a signal has ended it.
    ///
    /// # Panics
    /// When none does.
    #[track_caller]
    pub fn await_kill(&mut self) -> Signal {
        let mut signal = None;
        eventually(Duration::from_secs(5), "the hog was killed", || {
            signal = self.killed_by();
            signal.is_some()
        });
        signal.expect("a signal, as it was just there")
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        if self.killed_by().is_none() {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

/// Takes memory and writes to all of it; for the child of a fork.
fn fill(bytes: usize) {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
    // SAFETY: a new mapping of no file, at an address of the kernel's choice;
    // what it gives is written to within its length.
    unsafe {
        let memory = libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0);
        if memory != libc::MAP_FAILED {
            ptr::write_bytes(memory.cast::<u8>(), 1, bytes);
        }
    }
}
