//! A faultd of the test's own: private socket, private state, always cleaned up.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    ctl::{self, Outcome, binary},
    eventually, http, in_a_guest,
    process::{self, mentioning, signal},
    slowly,
    wait::holds_within,
};

/// Directories and environment of a daemon; outlives its crashes, so that it
/// can be started again on the same state.
pub struct Home {
    dir: TempDir,
    tag: String,
    config: Option<PathBuf>,
}

impl Home {
    /// A fresh one.
    #[expect(clippy::new_without_default, reason = "making a directory is no default value")]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = TempDir::with_prefix("faultd-test-").expect("a temporary directory");
        let tag = format!("faultd-test-{}-{number}", std::process::id());
        Self { dir, tag, config: None }
    }

    /// Gives the daemon a policy file.
    pub fn with_config(mut self, text: &str) -> Self {
        let path = self.dir.path().join("config.toml");
        fs::write(&path, text).expect("config.toml");
        self.config = Some(path);
        self
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("faultd.sock")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Processes that any daemon of this home has left behind.
    pub fn processes(&self) -> Vec<u32> {
        let mut found = mentioning(&self.tag);
        found.extend(mentioning(&self.dir.path().display().to_string()));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Everything that daemons of this home wrote.
    pub fn log(&self) -> String {
        ["stdout", "stderr"]
            .map(|name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default())
            .concat()
    }

    /// The daemon's command line, not yet started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary("FAULTD_BIN", "faultd"));
        command.arg("--socket").arg(self.socket()).arg("--state-dir").arg(self.state());
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        // Under emulation the verifier reads for seconds; what a test has no need of is spared.
        if in_a_guest() {
            command.arg("--lazy");
        }
        command
            .env("FAULTD_TEST_TAG", &self.tag)
            .env_remove("SSH_CONNECTION")
            .env_remove("NOTIFY_SOCKET");
        command
    }

    /// `faultd recover` on this home's state.
    pub fn recover(&self) -> Outcome {
        let mut command = Command::new(binary("FAULTD_BIN", "faultd"));
        Outcome::of(command.arg("recover").arg("--state-dir").arg(self.state()))
    }

    /// Starts a daemon and waits until it listens.
    pub fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// The same with further environment variables.
    ///
    /// # Panics
    /// When it does not come up in time.
    pub fn start_with(&self, env: &[(&str, &str)]) -> Daemon {
        self.try_start(env)
            .unwrap_or_else(|status| panic!("faultd ended at once ({status}):\n{}", self.log()))
    }

    /// The same for a daemon that may die while it starts.
    ///
    /// # Errors
    /// How it ended.
    ///
    /// # Panics
    /// When it neither listens nor ends in time.
    pub fn try_start(&self, env: &[(&str, &str)]) -> Result<Daemon, ExitStatus> {
        let out = |name: &str| {
            let path = self.dir.path().join(name);
            File::options().create(true).append(true).open(path).expect("a log file")
        };
        let before = self.log().matches("listening on").count();
        let mut child = self
            .command()
            .envs(env.iter().copied())
            .stdout(out("stdout"))
            .stderr(out("stderr"))
            .spawn()
            .expect("faultd starts");
        let started = Instant::now();
        let limit = slowly(Duration::from_secs(10));
        while self.log().matches("listening on").count() == before {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(status);
            }
            if started.elapsed() > limit {
                let _ = child.kill();
                let _ = child.wait();
                panic!("faultd does not listen after {limit:?}:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Daemon { child, socket: self.socket() })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what faultd said ---\n{}--- end ---", self.log());
        }
        for pid in self.processes() {
            // SAFETY of the victim: only processes that carry this home's tag
            // or paths, all started by this test.
            signal_if_alive(pid, Signal::SIGKILL);
        }
    }
}

/// A running daemon.
pub struct Daemon {
    child: Child,
    socket: PathBuf,
}

impl Daemon {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The guardian's process id.
    ///
    /// # Panics
    /// When it has none.
    #[track_caller]
    pub fn guardian(&self) -> u32 {
        let health = self.get("/v1/health");
        let pid = health["guardian_pid"].as_u64();
        let pid = pid.unwrap_or_else(|| panic!("no guardian in {health}"));
        u32::try_from(pid).expect("a pid")
    }

    /// `GET path` as JSON.
    ///
    /// # Panics
    /// When it does not answer 200.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let response = http::request(&self.socket, "GET", path, "");
        assert_eq!(response.status, 200, "GET {path}: {}", response.body);
        response.json()
    }

    /// Runs `faultctl` with arguments separated by blanks.
    pub fn ctl(&self, arguments: &str) -> Outcome {
        ctl::run(&self.socket, arguments)
    }

    /// Injects a fault (`latency --ms 5 …`), which has to succeed; the fault
    /// as faultctl reports it.
    #[track_caller]
    pub fn inject(&self, what: &str) -> Value {
        let fault = self.ctl(&format!("--json inject {what}")).json();
        assert_eq!(fault["state"], "active", "inject {what}: {fault}");
        fault
    }

    /// Injects a fault and returns its id.
    #[track_caller]
    pub fn inject_id(&self, what: &str) -> String {
        id(&self.inject(what))
    }

    /// A fault as it is now.
    #[track_caller]
    pub fn show(&self, id: &str) -> Value {
        self.get(&format!("/v1/faults/{id}"))
    }

    /// Whether it has this backend for this kind of fault.
    #[track_caller]
    pub fn has_backend(&self, kind: &str, backend: &str) -> bool {
        let report = self.get("/v1/capabilities");
        let kinds = report["kinds"].as_array().into_iter().flatten();
        let backends = kinds
            .filter(|entry| entry["kind"] == kind)
            .flat_map(|entry| entry["backends"].as_array().into_iter().flatten());
        backends.into_iter().any(|status| status["name"] == backend && status["support"] == "yes")
    }

    /// Waits until a fault is over; the fault as it ended.
    #[track_caller]
    pub fn ended(&self, id: &str) -> Value {
        let mut fault = Value::Null;
        eventually(Duration::from_secs(10), "the fault has ended", || {
            fault = self.show(id);
            fault["state"] == "ended"
        });
        fault
    }

    /// Reverts everything.
    #[track_caller]
    pub fn revert_all(&self) {
        self.ctl("revert --all").ok();
    }

    /// Waits until no fault is in force.
    #[track_caller]
    pub fn wait_idle(&self, limit: Duration) {
        eventually(limit, "every fault has ended", || {
            self.get("/v1/health")["active"].as_u64() == Some(0)
        });
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, what: Signal) {
        signal(self.pid(), what);
    }

    /// SIGKILL, and waits until the process is gone. The guardian lives on.
    ///
    /// # Panics
    /// When it cannot be killed.
    #[track_caller]
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGKILL for it and for its guardian, which gets no time to do the
    /// daemon's work.
    #[track_caller]
    pub fn kill_with_guardian(self) {
        let guardian = self.guardian();
        signal(guardian, Signal::SIGSTOP);
        self.kill();
        signal(guardian, Signal::SIGKILL);
    }

    /// SIGTERM; its exit status.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait_exit(slowly(Duration::from_secs(5)))
            .unwrap_or_else(|| panic!("faultd did not end within 5 s of SIGTERM"))
    }

    /// Waits for it to end by itself; `None` when it did not.
    pub fn wait_exit(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        holds_within(limit, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        status
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // A stopped daemon cannot act on SIGTERM.
        signal_if_alive(self.pid(), Signal::SIGCONT);
        signal_if_alive(self.pid(), Signal::SIGTERM);
        if self.wait_exit(slowly(Duration::from_secs(5))).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The id in a fault as JSON.
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn id(fault: &Value) -> String {
    fault["id"].as_str().unwrap_or_else(|| panic!("no id in {fault}")).to_owned()
}

fn signal_if_alive(pid: u32, what: Signal) {
    if process::alive(pid) {
        signal(pid, what);
    }
}
