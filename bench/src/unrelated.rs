//! What an active syscall fault costs the calls of a process that it does not
//! name.

use std::{
    fmt,
    fs::File,
    os::unix::fs::FileExt,
    process::{Child, Command},
    time::Instant,
};

use anyhow::{Result, bail};
use faultd_tests::{World, cgroup::Cgroup};
use serde::Serialize;

use crate::report::{Machine, Spread};

/// Calls in one measurement.
const CALLS: f64 = 20_000.0;
/// Measurements of each; they take turns, so that what else happens to the
/// machine happens to all of them.
const ROUNDS: usize = 9;
/// The share that a call may cost more.
const AIM: f64 = 1.03;

/// The figures.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was typed.
    command: String,
    /// Where.
    machine: Machine,
    /// What serves the fault.
    backend: String,
    /// One for each call and way to name another process.
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    /// The call in the loop.
    call: &'static str,
    /// How the fault names the other process.
    target: &'static str,
    /// Nanoseconds a call without a fault.
    plain_ns: f64,
    /// Nanoseconds a call beside it.
    beside_ns: f64,
    /// The one over the other.
    ratio: f64,
}

/// A loop of calls; each returns once.
struct Loop {
    name: &'static str,
    call: Box<dyn Fn()>,
}

/// Another process; it ends with the bench.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Three calls of this process, while `openat` and `read` of another one fail.
///
/// # Errors
/// Where no backend can make them fail.
pub fn measure(command: String, scale: f64) -> Result<Report> {
    let world = World::new();
    let Some(group) = Cgroup::new() else { bail!("no version 2 control groups are mounted") };
    let other = Other(Command::new("sleep").arg("100000").spawn()?);
    group.add(other.0.id());
    let loops = loops()?;
    let calls = (CALLS * scale).max(100.0) as u32;
    let targets = [
        ("--pid", format!("--pid {}", other.0.id())),
        ("--cgroup", format!("--cgroup {}", group.name())),
    ];
    let mut backend = String::new();
    let mut rows = Vec::new();
    for (target, words) in targets {
        let mut plain = vec![Vec::new(); loops.len()];
        let mut beside = vec![Vec::new(); loops.len()];
        for round in 0..=ROUNDS {
            eprintln!("{target}, round {round} of {ROUNDS} …");
            let first = time(&loops, calls);
            let outcome =
                world.ctl(&format!("--json inject syscall --call openat,read --errno EIO {words}"));
            if outcome.code != Some(0) {
                bail!("{}; try --vm 6.12", outcome.stderr.trim());
            }
            backend = outcome.json()["backend"].as_str().unwrap_or_default().to_owned();
            let second = time(&loops, calls);
            world.revert_all();
            // The first one warms up.
            if round > 0 {
                plain.iter_mut().zip(first).for_each(|(all, one)| all.push(one));
                beside.iter_mut().zip(second).for_each(|(all, one)| all.push(one));
            }
        }
        for ((each, plain), beside) in loops.iter().zip(&plain).zip(&beside) {
            let (plain_ns, beside_ns) = (Spread::of(plain).median, Spread::of(beside).median);
            let ratio = beside_ns / plain_ns;
            rows.push(Row { call: each.name, target, plain_ns, beside_ns, ratio });
        }
    }
    Ok(Report { command, machine: Machine::here(), backend, rows })
}

fn loops() -> Result<Vec<Loop>> {
    let file = File::open("/etc/passwd")?;
    let read = move || {
        let mut byte = [0];
        let _ = std::hint::black_box(file.read_at(&mut byte, 0));
    };
    Ok(vec![
        Loop { name: "getppid", call: Box::new(|| _ = std::hint::black_box(parent())) },
        Loop { name: "openat", call: Box::new(|| drop(File::open("/etc/passwd"))) },
        Loop { name: "read", call: Box::new(read) },
    ])
}

fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// Nanoseconds a call of each.
fn time(loops: &[Loop], calls: u32) -> Vec<f64> {
    let each = |each: &Loop| {
        let start = Instant::now();
        (0..calls).for_each(|_| (each.call)());
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    loops.iter().map(each).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} on Linux {}, {}", self.command, self.machine.kernel, self.machine.cpu)?;
        writeln!(f, "a fault on openat and read of another process, by {}", self.backend)?;
        writeln!(f, "{:<10}{:<10}{:>12}{:>12}{:>8}", "call", "target", "plain", "beside", "ratio")?;
        for row in &self.rows {
            let Row { call, target, plain_ns, beside_ns, ratio } = row;
            let plain = format!("{plain_ns:.0} ns");
            let beside = format!("{beside_ns:.0} ns");
            writeln!(f, "{call:<10}{target:<10}{plain:>12}{beside:>12}{ratio:>8.3}")?;
        }
        let above = self.rows.iter().filter(|row| row.ratio > AIM).count();
        writeln!(f, "{above} of {} are above the aim of {AIM}", self.rows.len())
    }
}
