//! The guardian process, with this test in the place of its daemon.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::{
    fs,
    io::{PipeWriter, Read, Write, pipe},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use faultd::{
    engine::{
        clock::boot_ns,
        journal::{Journal, Ticket},
    },
    host::undo::Undo,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

const NEVER: u64 = u64::MAX;
const LEAVE: u64 = 0;

struct Bench {
    dir: TempDir,
    journal: Journal,
    guardian: Child,
    pipe: Option<PipeWriter>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path()).unwrap();
        let (reader, writer) = pipe().unwrap();
        let mut guardian = Command::new(faultd_tests::ctl::binary("FAULTD_BIN", "faultd"))
            .args(["guardian", "--generation"])
            .arg(journal.generation().unwrap().to_string())
            .arg("--state-dir")
            .arg(dir.path())
            .stdin(reader)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = [0];
        guardian.stdout.take().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"R");
        journal.set_listener(Some(Box::new(writer.try_clone().unwrap())));
        Self { dir, journal, guardian, pipe: Some(writer) }
    }

    fn effect(&self, name: &str, expires_boot_ns: u64) -> (PathBuf, Ticket) {
        let path = self.dir.path().join(name);
        fs::write(&path, "1").unwrap();
        let undo = Undo::WriteFile { path: path.to_str().unwrap().into(), content: "0".into() };
        (path, self.journal.record(name, expires_boot_ns, undo).unwrap())
    }

    /// As the kernel closes the pipe when the daemon dies.
    fn die(&mut self) {
        self.journal.set_listener(None);
        self.pipe = None;
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.guardian.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(5), "the guardian stays");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("guardian.log")).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.guardian.id() as i32), signal).unwrap();
    }

    /// Times that the guardian was put to sleep and woken.
    fn switches(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.guardian.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_whitespace().last().unwrap().parse().unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.guardian.kill();
        let _ = self.guardian.wait();
    }
}

#[test]
fn takes_everything_back_at_once_when_the_daemon_dies() {
    let mut bench = Bench::new();
    let (a, _ta) = bench.effect("a", NEVER);
    let (b, _tb) = bench.effect("b", boot_ns() + 3_600_000_000_000);
    let start = Instant::now();
    bench.die();
    assert!(bench.wait().success());
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    for path in [a, b] {
        assert_eq!(fs::read_to_string(path).unwrap(), "0");
    }
    let log = bench.log();
    assert!(log.contains("the daemon is gone: a: undone") && log.contains(": b: undone"), "{log}");
}

#[test]
fn leaves_in_peace_when_the_daemon_says_so() {
    let mut bench = Bench::new();
    let (path, _ticket) = bench.effect("a", NEVER);
    let word = bench.pipe.as_mut().unwrap().write_all(&LEAVE.to_le_bytes());
    word.unwrap();
    bench.die();
    assert!(bench.wait().success());
    assert_eq!(fs::read_to_string(path).unwrap(), "1");
}

#[test]
fn takes_overdue_effects_back_while_the_daemon_hangs() {
    let bench = Bench::new();
    let deadline = boot_ns() + 300_000_000;
    let (early, _te) = bench.effect("early", deadline);
    let (late, _tl) = bench.effect("late", deadline + 400_000_000);
    let (other, _to) = bench.effect("other", NEVER);
    let undone_at = |path: &PathBuf| {
        while fs::read_to_string(path).unwrap() == "1" {
            assert!(boot_ns() < deadline + 5_000_000_000, "{path:?} is still there");
            thread::sleep(Duration::from_millis(2));
        }
        boot_ns()
    };
    // 200 ms of grace, so that a daemon that lives does it itself.
    let at = undone_at(&early);
    assert!((deadline + 190_000_000..deadline + 400_000_000).contains(&at), "{at} {deadline}");
    let at = undone_at(&late);
    assert!(at > deadline + 590_000_000 && at < deadline + 800_000_000, "{at} {deadline}");
    assert_eq!(fs::read_to_string(other).unwrap(), "1");
}

#[test]
fn leaves_a_later_daemons_journal_alone() {
    let mut bench = Bench::new();
    // The daemon dies with nothing pending and another starts before the
    // guardian of the first one looks.
    bench.signal(Signal::SIGSTOP);
    bench.die();
    let (later, _) = Journal::open(bench.dir.path()).unwrap();
    let path = bench.dir.path().join("later");
    fs::write(&path, "1").unwrap();
    let undo = Undo::WriteFile { path: path.to_str().unwrap().into(), content: "0".into() };
    let _ticket = later.record("later", NEVER, undo).unwrap();
    bench.signal(Signal::SIGCONT);
    assert!(bench.wait().success());
    assert_eq!(fs::read_to_string(path).unwrap(), "1");
}

#[test]
fn is_deaf_to_what_is_meant_for_the_daemon() {
    let mut bench = Bench::new();
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGQUIT] {
        bench.signal(signal);
    }
    let pid = Pid::from_raw(bench.guardian.id() as i32);
    assert_eq!(nix::unistd::getsid(Some(pid)).unwrap(), pid, "in a session of its own");
    let (path, _ticket) = bench.effect("a", NEVER);
    bench.die();
    let status = bench.wait();
    assert_eq!(status.signal(), None);
    assert_eq!(fs::read_to_string(path).unwrap(), "0");
}

#[test]
fn says_so_when_something_cannot_be_taken_back() {
    let mut bench = Bench::new();
    let undo =
        Undo::WriteFile { path: bench.dir.path().to_str().unwrap().into(), content: "0".into() };
    let _ticket = bench.journal.record("stubborn", NEVER, undo).unwrap();
    bench.die();
    assert_eq!(bench.wait().code(), Some(1));
    let log = bench.log();
    assert!(log.contains("stubborn: NOT undone") && log.contains("faultd recover"), "{log}");
}

#[test]
fn sleeps_while_nothing_is_pending() {
    let bench = Bench::new();
    thread::sleep(Duration::from_millis(100));
    let before = bench.switches();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(bench.switches(), before);
}
