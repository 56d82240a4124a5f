//! `cargo xtask bench net|load|syscall`: release builds, measured here or in a guest.

use std::{
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use faultd_guest::{Event, Job, Task};

use crate::{
    binaries,
    cmd::run,
    paths::Paths,
    peers,
    vm::{
        Payload,
        kernel::{Kernel, Label},
        run::Host,
    },
};

/// In a guest under emulation.
const GUEST_LIMIT: Duration = Duration::from_secs(3600);

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The network faults: accuracy, cost of a packet, of an injection, of doing nothing, and
    /// throughput; beside netem where the kernel has it and beside a user-space proxy
    Net {
        #[command(flatten)]
        at: Where,
        /// Only these parts: inject, packet, idle, bulk, accuracy
        #[arg(long, value_name = "PART,…")]
        only: Option<String>,
    },
    /// faultload: speed, cost, and whether what it says is what happened; beside wrk, oha and
    /// h2load, which are installed where they are missing. Wants two idle cores
    Load {
        /// Only these parts: closed, memory, pacing, stall, ramp, sse, flat
        #[arg(long, value_name = "PART,…")]
        only: Option<String>,
        /// A fraction of the time, to try things out
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
    },
    /// What an active syscall fault costs the calls of processes that it does not name
    Syscall(Where),
}

/// Where it is measured, and how thoroughly.
#[derive(Debug, clap::Args)]
struct Where {
    /// In a guest with this kernel (6.1, 6.12, newest, stock); emulation makes it slow
    #[arg(long, value_name = "KERNEL")]
    vm: Option<String>,
    /// A fraction of the samples, to try things out
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

impl Where {
    /// The command as it was typed, for the report.
    fn typed(&self, what: &str) -> String {
        let vm = self.vm.as_ref().map_or_else(String::new, |label| format!(" --vm {label}"));
        let scale = if (self.scale - 1.0).abs() < f64::EPSILON {
            String::new()
        } else {
            format!(" --scale {}", self.scale)
        };
        format!("cargo xtask bench {what}{vm}{scale}")
    }
}

/// Builds, measures, prints the table and writes the JSON beside it.
///
/// # Errors
/// If something does not build or cannot be measured. A promise that is broken is an exit code.
pub fn bench(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let (name, at, only) = match &args.what {
        What::Net { at, only } => ("net", at, only.as_deref()),
        What::Load { only, scale } => ("load", &Where { vm: None, scale: *scale }, only.as_deref()),
        What::Syscall(at) => ("syscall", at, None),
    };
    let programs = if name == "load" {
        build(paths, &["faultload", "faultd-bench"])?
    } else {
        build(paths, &["faultd", "faultctl", "faultd-bench"])?
    };
    let dir = paths.target.join("bench");
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let suffix = at.vm.as_ref().map_or_else(String::new, |label| format!("-{label}"));
    let json = dir.join(format!("{name}{suffix}.json"));
    let only = only.map(|parts| format!("--only={parts}"));
    let command = at.typed(name) + &only.as_ref().map_or_else(String::new, |o| format!(" {o}"));
    let scale = at.scale.to_string();
    let mut arguments = vec![name];
    arguments.extend(only.as_deref());
    arguments.extend(["--command", &command, "--scale", &scale, "--json"]);
    let passed = match &at.vm {
        None => here(paths, name, &programs, &arguments, &json)?,
        Some(label) => in_guest(paths, &programs, label, &arguments, &json)?,
    };
    println!("\nas JSON: {}", json.display());
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Programs of these packages; the bench itself is the last one.
fn build(paths: &Paths, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let mut cargo = binaries::cargo(paths);
    cargo.args(["build", "--quiet", "--release"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    run(&mut cargo)?;
    Ok(packages.iter().map(|name| paths.target.join("release").join(name)).collect())
}

fn here(
    paths: &Paths,
    name: &str,
    programs: &[PathBuf],
    arguments: &[&str],
    json: &Path,
) -> Result<bool> {
    let (bench, others) = programs.split_last().context("the bench was built")?;
    let mut command = Command::new(bench);
    command.args(arguments).arg(json);
    for program in others {
        let name = program.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        command.env(format!("{name}_BIN"), program);
    }
    if name == "load" {
        command.env("PATH", peers::set_up(paths)?);
    }
    Ok(command.status().context("could not run the bench")?.success())
}

fn in_guest(
    paths: &Paths,
    programs: &[PathBuf],
    label: &str,
    arguments: &[&str],
    json: &Path,
) -> Result<bool> {
    let kernel: Label = label.parse().map_err(anyhow::Error::msg)?;
    let kernel = Kernel::cached(&paths.vm_cache, kernel)
        .with_context(|| format!("kernel {label} is not there: run `cargo xtask setup`"))?;
    // By a clock of its own a guest is as idle as it can be, whatever the host does.
    let host = Host::prepare(paths)?.by_instructions();
    let payload = Payload::new(&host.scratch())?;
    let mut job = Job { hostname: "faultd-vm".into(), ..Default::default() };
    let slow = host.accel.slowness().to_string();
    job.env.insert("FAULTD_TEST_SLOW".to_owned(), slow);
    let mut argv = Vec::new();
    for program in programs {
        let inside = payload.program(program)?;
        let name = program.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        job.env.insert(format!("{name}_BIN"), inside.clone());
        argv = vec![inside];
    }
    argv.extend(arguments.iter().map(|&a| a.to_owned()));
    argv.push("-".to_owned());
    let timeout_ms = GUEST_LIMIT.as_millis() as u64;
    job.tasks = vec![Task { name: "bench".into(), argv, timeout_ms, stream: true }];
    eprintln!("in a guest with Linux {} ({})", kernel.release, host.accel);
    let mut said = String::new();
    let report = host.run(&kernel, &payload.image()?, &job, 2 * GUEST_LIMIT, |event| {
        if let Event::Output { text } = event {
            said.push_str(text);
        }
    })?;
    if let Some(died) = report.died {
        bail!("the guest died: {}\n{}", died.reason, died.console);
    }
    let (table, figures): (Vec<&str>, Vec<&str>) = said.lines().partition(|l| !l.starts_with('{'));
    // A closed pipe is the reader's business.
    let _ = writeln!(stdout(), "{}", table.join("\n"));
    let figures = figures.last().context("the bench in the guest gave no figures")?;
    fs::write(json, figures).with_context(|| json.display().to_string())?;
    Ok(report.done.iter().all(|(_, outcome)| outcome.passed()))
}
