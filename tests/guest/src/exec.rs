//! Runs one test in a process group of its own, with a time limit.

use std::{
    collections::VecDeque,
    io::Read,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        prctl,
        signal::{Signal, killpg},
    },
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use crate::{Remark, Task};

/// How much output of a task is kept, from its end.
const TAIL_BYTES: usize = 24 * 1024;

/// How long output may take to arrive after the process itself has ended: what it left running may
/// hold the pipe.
const DRAIN: Duration = Duration::from_millis(300);

/// How a task ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// Whether it was killed because its time was up.
    pub timed_out: bool,
    /// Wall-clock milliseconds.
    pub ms: u64,
    /// Why it could not be run at all.
    pub error: Option<String>,
    /// What the test said about itself.
    pub remark: Option<Remark>,
    /// End of its output. Left out when it passed.
    pub output: String,
}

impl Outcome {
    /// Whether the process ended with code 0 in time.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.code == Some(0) && !self.timed_out
    }
}

/// Runs a task to its end. `sink` sees all output as it comes.
pub fn run(task: &Task, command: &mut Command, mut sink: impl FnMut(&[u8])) -> Outcome {
    let started = Instant::now();
    let mut child = match spawn(command) {
        Ok(child) => child,
        Err(error) => {
            let error = Some(format!("could not run {}: {error}", task.argv.join(" ")));
            return Outcome { error, ..Outcome::default() };
        }
    };
    let output = pump(&mut child);
    let deadline = started + Duration::from_millis(task.timeout_ms);
    let mut tail = Tail::default();
    let mut timed_out = false;
    let status = loop {
        match output.recv_timeout(Duration::from_millis(5)) {
            Ok(bytes) => {
                sink(&bytes);
                tail.push(&bytes);
            }
            Err(RecvTimeoutError::Timeout) => {}
            // All writers are gone, so the process is ending.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(1)),
        }
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) => {}
            Err(_) => break None,
        }
        if !timed_out && Instant::now() >= deadline {
            timed_out = true;
            kill_group(&child);
        }
    };
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);

    let drained_by = Instant::now() + DRAIN;
    while let Ok(bytes) = output.recv_timeout(drained_by.saturating_duration_since(Instant::now()))
    {
        sink(&bytes);
        tail.push(&bytes);
    }
    kill_group(&child);

    let text = tail.into_text();
    let mut outcome = Outcome {
        code: status.and_then(|s| s.code()),
        signal: status.and_then(|s| s.signal()),
        timed_out,
        ms,
        error: None,
        remark: Remark::find(&text),
        output: String::new(),
    };
    if !outcome.passed() {
        outcome.output = text;
    }
    outcome
}

fn spawn(command: &mut Command) -> std::io::Result<Child> {
    die_with_parent(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Makes the kernel kill the program when the thread that started it ends, so that an interrupted
/// run leaves nothing behind.
pub fn die_with_parent(command: &mut Command) {
    // SAFETY: prctl(2) is async-signal-safe, and nothing else happens between fork and exec.
    unsafe {
        command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
    }
}

/// Reads both output streams on threads of their own: a pipe that something else holds open must
/// not block the time limit.
fn pump(child: &mut Child) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, sender);
    }
    receiver
}

fn forward(mut from: impl Read + Send + 'static, to: Sender<Vec<u8>>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
}

/// Kills what the task left behind in its process group. ESRCH (nothing left) is the usual case.
fn kill_group(child: &Child) {
    let Ok(pid) = i32::try_from(child.id()) else { return };
    let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
}

#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(TAIL_BYTES);
        self.bytes.drain(..excess);
    }

    fn into_text(mut self) -> String {
        String::from_utf8_lossy(self.bytes.make_contiguous()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, timeout_ms: u64) -> Outcome {
        let task = Task {
            name: "t".into(),
            argv: vec!["sh".into(), "-c".into(), script.into()],
            timeout_ms,
            stream: false,
        };
        run(&task, Command::new("sh").args(["-c", script]), |_| {})
    }

    #[test]
    fn the_verdict_is_the_exit_code() {
        assert!(sh("exit 0", 5000).passed());
        let failed = sh("echo out; echo err >&2; exit 7", 5000);
        assert_eq!(failed.code, Some(7));
        assert!(failed.output.contains("out\n") && failed.output.contains("err\n"));
        assert_eq!(sh("kill -9 $$", 5000).signal, Some(9));
    }

    #[test]
    fn a_hanging_test_is_killed_with_its_children() {
        let outcome = sh("echo begun; sleep 30 & sleep 30", 200);
        assert!(outcome.timed_out && !outcome.passed());
        assert!(outcome.ms < 5000);
        assert_eq!(outcome.output, "begun\n");
    }

    #[test]
    fn a_process_left_behind_does_not_hold_the_run() {
        let outcome = sh("sleep 30 & exit 0", 20_000);
        assert!(outcome.passed() && outcome.ms < 5000);
    }

    #[test]
    fn a_skip_is_noted() {
        let outcome = sh("echo 'SKIPPED: no netem'", 5000);
        assert_eq!(outcome.remark, Some(Remark::Skipped("no netem".into())));
    }

    #[test]
    fn a_missing_program_is_an_outcome_too() {
        let task = Task { argv: vec!["/nonexistent".into()], ..Task::default() };
        let outcome = run(&task, &mut Command::new("/nonexistent"), |_| {});
        assert!(!outcome.passed() && outcome.error.unwrap().contains("/nonexistent"));
    }

    #[test]
    fn only_the_end_of_long_output_is_kept() {
        let mut tail = Tail::default();
        tail.push(&[b'a'; TAIL_BYTES]);
        tail.push(b"end");
        let text = tail.into_text();
        assert_eq!(text.len(), TAIL_BYTES);
        assert!(text.ends_with("aend"));
    }
}
