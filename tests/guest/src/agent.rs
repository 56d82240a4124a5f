//! Runs the job and reports it on the second serial port.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::fd::AsFd,
    process::Command,
};

use anyhow::{Context, Result};
use faultd_guest::{Event, Job, Task, run as run_task};
use nix::{
    sys::{
        signal::{Signal, kill},
        termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr},
        utsname::uname,
    },
    unistd::{Pid, sethostname},
};

/// Kernel messages go to the first port, so that they cannot split a line of results.
const RESULTS: &str = "/dev/ttyS1";

/// Runs every task of the job.
pub fn run(job: &Job) -> Result<()> {
    let mut port = open_port()?;
    sethostname(&job.hostname)?;
    send(&mut port, &Event::Booted { release: release()?, uptime_ms: uptime_ms()? })?;
    for task in &job.tasks {
        send(&mut port, &Event::Started { name: task.name.clone() })?;
        let outcome = run_task(task, &mut command(job, task), |bytes| {
            if task.stream {
                let text = String::from_utf8_lossy(bytes).into_owned();
                // A port that fails here fails again at the end, where it is reported.
                let _ = send(&mut port, &Event::Output { text });
            }
        });
        // Whatever this test left running must not meet the next: everything but pid 1 and
        // this process. ESRCH, nobody there, is the usual answer.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        send(&mut port, &Event::Done { name: task.name.clone(), outcome })?;
    }
    send(&mut port, &Event::End)
}

/// Tells the host that the guest cannot do its work, as far as that is still possible.
pub fn report_broken(error: &anyhow::Error) {
    let event = Event::Broken { error: format!("{error:#}") };
    let sent = open_port().and_then(|mut port| send(&mut port, &event));
    if let Err(error) = sent {
        eprintln!("faultd-guest: {error:#}");
    }
}

fn command(job: &Job, task: &Task) -> Command {
    let mut argv = task.argv.iter();
    let mut command = Command::new(argv.next().map_or("", String::as_str));
    command
        .args(argv)
        .env_clear()
        .env("PATH", "/faultd/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .env("RUST_BACKTRACE", "1")
        .envs(&job.env)
        .current_dir("/tmp");
    command
}

fn open_port() -> Result<File> {
    let port = OpenOptions::new().write(true).read(true).open(RESULTS).context(RESULTS)?;
    let mut settings = tcgetattr(port.as_fd())?;
    cfmakeraw(&mut settings);
    tcsetattr(port.as_fd(), SetArg::TCSANOW, &settings)?;
    Ok(port)
}

fn send(port: &mut File, event: &Event) -> Result<()> {
    port.write_all(event.to_line().as_bytes()).context(RESULTS)
}

fn release() -> Result<String> {
    Ok(uname()?.release().to_string_lossy().into_owned())
}

fn uptime_ms() -> Result<u64> {
    let text = fs::read_to_string("/proc/uptime")?;
    let seconds: f64 = text.split_whitespace().next().context("/proc/uptime is empty")?.parse()?;
    Ok((seconds * 1000.0) as u64)
}
