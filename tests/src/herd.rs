//! Processes to be killed and paused: shell scripts in a session of their own,
//! found again, children included, by a mark in their environment.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    eventually,
    process::{alive, mentioning, signal},
    slowly,
};

/// A script and all the processes that come of it; killed when dropped.
pub struct Herd {
    child: Child,
    mark: String,
    dir: TempDir,
}

impl Herd {
    /// Runs a script with sh(1), in a directory of its own. `$MARK` is a
    /// number that no other herd has: `sleep 9999.$MARK` has a command line of
    /// its own.
    ///
    /// # Panics
    /// When the shell cannot be started.
    pub fn run(script: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{:07}{number:03}", std::process::id());
        let dir = TempDir::with_prefix("faultd-herd-").expect("a temporary directory");
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(dir.path()).stdin(Stdio::null());
        command.env("MARK", &mark).env("FAULTD_TEST_HERD", format!("herd-{mark}"));
        // SAFETY: setsid is async-signal-safe and touches no memory.
        unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
        let child = command.stderr(Stdio::null()).spawn().expect("sh starts");
        Self { child, mark, dir }
    }

    /// A script that makes a file grow for as long as it runs, ten times a
    /// second (more would keep an emulated processor busy): see
    /// [`Herd::is_running`].
    pub fn ticking() -> Self {
        let herd = Self::run("while :; do echo >> ticks; sleep 0.1; done");
        eventually(Duration::from_secs(10), "the ticker ticks", || herd.ticks() > 1);
        herd
    }

    /// Its number, as `$MARK` gives it.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// The shell's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A file in its directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// All that live, the shell included, by ascending id.
    pub fn members(&self) -> Vec<u32> {
        let mut found = mentioning(&format!("herd-{}", self.mark));
        found.sort_unstable();
        found
    }

    /// Those of its members that execute `sleep` with the mark in their
    /// arguments.
    pub fn sleepers(&self) -> Vec<u32> {
        let of = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.starts_with("sleep\0") && line.contains(&self.mark)
        };
        self.members().into_iter().filter(of).collect()
    }

    /// Waits until there are so many sleepers.
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn await_sleepers(&self, count: usize) -> Vec<u32> {
        let mut found = Vec::new();
        eventually(Duration::from_secs(10), &format!("{count} sleepers"), || {
            found = self.sleepers();
            found.len() == count
        });
        found
    }

    fn ticks(&self) -> u64 {
        fs::metadata(self.file("ticks")).map_or(0, |file| file.len())
    }

    /// Whether a ticking herd ticks: watched for a while.
    pub fn is_running(&self) -> bool {
        let before = self.ticks();
        thread::sleep(slowly(Duration::from_millis(400)));
        self.ticks() > before
    }

    /// Waits until a ticking herd ticks again.
    ///
    /// # Panics
    /// When it does not within `limit`, which is stretched on slow machines.
    #[track_caller]
    pub fn await_running(&self, limit: Duration) {
        let before = self.ticks();
        eventually(limit, "the herd runs", || self.ticks() > before);
    }

    /// How the shell ended, once it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("waiting for sh")
    }

    /// Ends everything now.
    pub fn end(&mut self) {
        // A member may be forking: until nobody is left.
        for _ in 0..100 {
            let members = self.members();
            if members.is_empty() {
                break;
            }
            for pid in members {
                if alive(pid) {
                    signal(pid, Signal::SIGKILL);
                }
            }
            let _ = self.child.try_wait();
            thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.wait();
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        self.end();
    }
}
