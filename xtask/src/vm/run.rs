//! Boots a guest, gives it a job and watches it to its end.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use faultd_guest::{Event, Job, Outcome, die_with_parent};

use super::{
    accel::{self, Accel},
    console::Console,
    init,
    kernel::{self, Kernel},
    payload::Payload,
    qemu::{self, Disks},
    userland,
};
use crate::paths::Paths;

/// Until the first event. Takes 3 to 8 s under emulation on an idle machine.
const BOOT_LIMIT: Duration = Duration::from_secs(180);
/// Beyond a task's own limit, which the guest enforces.
const GRACE: Duration = Duration::from_secs(60);
/// From a fatal line on the console to the end, so that the trace is complete.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What every boot needs, prepared once.
#[derive(Clone)]
pub struct Host {
    init: PathBuf,
    userland: PathBuf,
    /// Scratch space and logs.
    cache: PathBuf,
    logs: PathBuf,
    /// How guests are run here.
    pub accel: Accel,
}

/// How long a guest may take.
#[derive(Clone, Copy)]
struct Limits {
    /// To its first event.
    boot: Duration,
    /// To its last.
    whole: Duration,
}

/// How a boot ended.
#[derive(Debug, Default)]
pub struct Report {
    /// `uname -r`, once the guest was up.
    pub release: Option<String>,
    /// Results in the order of the tasks, as far as they ran.
    pub done: Vec<(String, Outcome)>,
    /// Why the job is not complete, and what the console said last.
    pub died: Option<Died>,
}

/// A guest that did not finish its job.
#[derive(Debug)]
pub struct Died {
    /// What happened.
    pub reason: String,
    /// The task that was running.
    pub during: Option<String>,
    /// The last lines of the console.
    pub console: String,
}

impl Host {
    /// Checks QEMU and the images, builds the init, finds out about KVM.
    ///
    /// # Errors
    /// If something is missing; the text says what to run.
    pub fn prepare(paths: &Paths) -> Result<Self> {
        let version = kernel::check_qemu()?;
        remove_stale(&paths.vm_cache.join("scratch"));
        let userland = userland::cached(&paths.vm_cache)?;
        let logs = paths.vm_logs();
        fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
        let mut host = Self {
            init: init::build(paths)?,
            userland,
            cache: paths.vm_cache.clone(),
            logs,
            accel: Accel::Kvm,
        };
        host.accel = accel::probe(&paths.vm_cache, &version, || host.boots())?;
        Ok(host)
    }

    /// The same, with guests whose time passes with their own instructions, where they are emulated.
    #[must_use]
    pub fn by_instructions(&self) -> Self {
        Self { accel: self.accel.by_instructions(), ..self.clone() }
    }

    /// Whether some kernel boots with the current accelerator.
    fn boots(&self) -> bool {
        let cached = kernel::Label::ALL.into_iter().find_map(|l| Kernel::cached(&self.cache, l));
        let Some(kernel) = cached else { return false };
        let Ok(image) = Payload::new(&self.scratch()).and_then(|p| Ok((p.image()?, p))) else {
            return false;
        };
        let limit = Duration::from_secs(15);
        let limits = Limits { boot: limit, whole: limit };
        self.boot(&kernel, &image.0, &Job::default(), limits, |_| {})
            .is_ok_and(|r| r.died.is_none())
    }

    /// Where payloads are put together.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.cache.join("scratch")
    }

    /// Runs a job on a kernel, for at most `limit`. `on_event` sees every event as it comes.
    ///
    /// # Errors
    /// If QEMU cannot be started. A guest that dies is a report.
    pub fn run(
        &self,
        kernel: &Kernel,
        payload: &Path,
        job: &Job,
        limit: Duration,
        on_event: impl FnMut(&Event),
    ) -> Result<Report> {
        self.boot(kernel, payload, job, Limits { boot: BOOT_LIMIT, whole: limit }, on_event)
    }

    fn boot(
        &self,
        kernel: &Kernel,
        payload: &Path,
        job: &Job,
        limits: Limits,
        on_event: impl FnMut(&Event),
    ) -> Result<Report> {
        fs::create_dir_all(self.scratch())?;
        let initramfs = tempfile::NamedTempFile::new_in(self.scratch())?;
        fs::write(initramfs.path(), init::initramfs(&self.init, kernel, job)?)?;
        // Several guests of a kernel may run at once.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}.console", kernel.label, std::process::id());
        let console = self.logs.join(name);
        let disks = Disks {
            initramfs: initramfs.path(),
            userland: &self.userland,
            payload,
            console: &console,
        };
        let mut qemu = qemu::command(self.accel, kernel, &disks)?;
        die_with_parent(&mut qemu);
        let child = qemu.spawn().context("could not run qemu-system-x86_64")?;
        let mut guest = Running::new(child, Console::new(console.clone()))?;
        let report = guest.watch(job, limits, on_event);
        drop(guest);
        // The last one of each kernel under a name that is easy to find.
        fs::rename(&console, self.logs.join(format!("{}.console", kernel.label))).ok();
        Ok(report)
    }
}

/// Removes what interrupted runs have left. A run takes less than that.
fn remove_stale(scratch: &Path) {
    const AGE: Duration = Duration::from_secs(6 * 3600);
    let Ok(entries) = fs::read_dir(scratch) else { return };
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|m| m.modified());
        if modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > AGE)) {
            let path = entry.path();
            // What cannot be removed costs disk space, no more.
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }
}

/// A running QEMU; killed when dropped.
struct Running {
    child: Child,
    events: Receiver<Event>,
    console: Console,
}

impl Running {
    fn new(mut child: Child, console: Console) -> Result<Self> {
        let stdout = child.stdout.take().context("QEMU has no standard output")?;
        Ok(Self { child, events: read_events(stdout), console })
    }

    fn watch(&mut self, job: &Job, limits: Limits, on_event: impl FnMut(&Event)) -> Report {
        let mut state = Progress::new(job, limits, on_event);
        let reason = loop {
            match self.events.recv_timeout(Duration::from_millis(500)) {
                Ok(event) => {
                    if state.take(event) {
                        return state.report;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let fatal = self.console.new_fatal();
                    break fatal
                        .unwrap_or_else(|| format!("the guest ended: {}", self.last_error()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(fatal) = self.console.new_fatal() {
                thread::sleep(LAST_WORDS);
                break fatal;
            }
            let now = Instant::now();
            if now > state.deadline {
                break "the guest does not answer".to_owned();
            }
            if now > state.end {
                break "the time for this kernel is up".to_owned();
            }
        };
        state.report.died =
            Some(Died { reason, during: state.current.take(), console: self.console.tail(60) });
        state.report
    }

    /// What QEMU said on standard error.
    fn last_error(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            // Best effort, for a message.
            let _ = stderr.read_to_string(&mut text);
        }
        if text.is_empty() { "it powered off".into() } else { text.trim_end().to_owned() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After the last event QEMU ends by itself within a moment; an error means that it has.
        for _ in 0..40 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the guest has reported so far.
struct Progress<'a, F> {
    job: &'a Job,
    on_event: F,
    /// Until the next event.
    deadline: Instant,
    /// Until the last.
    end: Instant,
    current: Option<String>,
    report: Report,
}

impl<'a, F: FnMut(&Event)> Progress<'a, F> {
    fn new(job: &'a Job, limits: Limits, on_event: F) -> Self {
        let now = Instant::now();
        let deadline = now + limits.boot;
        let end = now + limits.whole;
        Self { job, on_event, deadline, end, current: None, report: Report::default() }
    }

    /// Takes an event; true if it was the last.
    fn take(&mut self, event: Event) -> bool {
        (self.on_event)(&event);
        match event {
            Event::Booted { release, .. } => {
                self.report.release = Some(release);
                self.deadline = Instant::now() + GRACE;
            }
            Event::Started { name } => {
                let task = self.job.tasks.iter().find(|t| t.name == name);
                let limit = task.map_or(0, |t| t.timeout_ms);
                self.deadline = Instant::now() + Duration::from_millis(limit) + GRACE;
                self.current = Some(name);
            }
            Event::Output { .. } => {}
            Event::Done { name, outcome } => {
                self.deadline = Instant::now() + GRACE;
                self.current = None;
                self.report.done.push((name, outcome));
            }
            Event::Broken { error } => {
                let (reason, during) = (error, self.current.take());
                self.report.died = Some(Died { reason, during, console: String::new() });
                return true;
            }
            Event::End => return true,
        }
        false
    }
}

fn read_events(stdout: ChildStdout) -> Receiver<Event> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        // Firmware and noise may be anything but UTF-8.
        while let Ok(1..) = lines.read_until(b'\n', &mut line) {
            if let Some(event) = Event::from_line(&String::from_utf8_lossy(&line))
                && sender.send(event).is_err()
            {
                return;
            }
            line.clear();
        }
    });
    receiver
}
