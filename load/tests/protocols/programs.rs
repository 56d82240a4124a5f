//! Real servers: where their programs are, and how they are started and stopped.

use std::{
    env, fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use tempfile::TempDir;

/// `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// Where `cargo xtask setup` unpacks packages of servers.
fn unpacked() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("servers")
}

/// The path of a server's program: unpacked by the set-up, or the machine's own.
fn find(program: &str) -> PathBuf {
    let mut folders = Vec::new();
    for root in [unpacked(), PathBuf::from("/")] {
        if let Ok(versions) = fs::read_dir(root.join("usr/lib/postgresql")) {
            folders.extend(versions.flatten().map(|version| version.path().join("bin")));
        }
        folders.extend([root.join("usr/sbin"), root.join("usr/bin")]);
    }
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let found = folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no {program} here: `cargo xtask setup` brings it"))
}

/// A command that runs it.
pub fn command(program: &str) -> Command {
    let path = find(program);
    let mut command = Command::new(&path);
    command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    if path.starts_with(unpacked()) {
        let triple = format!("{}-linux-gnu", env::consts::ARCH);
        let libraries = ["usr/lib", "lib"].map(|lib| unpacked().join(lib).join(&triple));
        command.env("LD_LIBRARY_PATH", env::join_paths(libraries).unwrap());
    }
    command
}

/// A folder for a server that must not be root, and `command` made to run as somebody else.
pub fn unprivileged(command: &mut Command) -> &mut Command {
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Gives a path to whom [`unprivileged`] runs commands as.
pub fn hand_over(path: &Path) {
    if geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// A folder of a server's own, for its data and its sockets.
pub fn home() -> TempDir {
    // Short: the name of a socket has 107 bytes at most.
    let dir = tempfile::Builder::new().prefix("fl").tempdir_in("/tmp").unwrap();
    hand_over(dir.path());
    dir
}

/// A server; it ends with the test.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it, with what it says going into a file of `dir`.
    pub fn start(command: &mut Command, dir: &Path) -> Self {
        let log = dir.join("said");
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), log }
    }

    /// Waits until `ready`; false: it has ended before.
    pub fn is_up(&mut self, ready: impl Fn() -> bool) -> bool {
        let end = Instant::now() + Duration::from_secs(60);
        while !ready() {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < end, "it does not come up: {}", self.said());
            sleep(Duration::from_millis(20));
        }
        true
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGINT: all of them end quickly and in order, PostgreSQL with its children.
        let _sent = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT);
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        let _killed = (self.child.kill(), self.child.wait());
    }
}

/// Waits for what a server counts or logs a moment after it has answered.
#[track_caller]
pub fn eventually<T: PartialEq + std::fmt::Debug>(expected: &T, found: impl Fn() -> T) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let now = found();
        if now == *expected {
            return;
        }
        assert!(Instant::now() < end, "found {now:?}, expected {expected:?}");
        sleep(Duration::from_millis(50));
    }
}
