//! `cargo xtask vm --kernel 6.12 -- CMD…`: a command in a guest, with the current build.

use std::{
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use faultd_guest::{Event, Job, Task};

use super::{
    Payload,
    kernel::{Kernel, Label},
    run::Host,
};
use crate::{binaries, paths::Paths};

/// What to run, and where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// 6.1, 6.12, newest, stock, or all that are there.
    #[arg(long, default_value = "newest")]
    kernel: String,
    /// A file or directory of the host, found below /faultd/files in the guest.
    #[arg(long, value_name = "PATH")]
    file: Vec<PathBuf>,
    /// A variable for the command.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Seconds after which the command is killed.
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// Take faultd and faultctl as they are, or go without.
    #[arg(long)]
    no_build: bool,
    /// The command. faultd and faultctl are in the guest's PATH.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Runs the command in one guest after the other; the exit code is that of the first that failed.
///
/// # Errors
/// If a guest could not be started or died.
pub fn vm(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let kernels = kernels(paths, &args.kernel)?;
    if !args.no_build {
        binaries::build(paths)?;
    }
    let host = Host::prepare(paths)?;
    let payload = Payload::new(&host.scratch())?;
    for binary in binaries::present(paths) {
        payload.program(&binary)?;
    }
    for file in &args.file {
        payload.file(file)?;
    }
    let image = payload.image()?;
    let job = job(args)?;

    let mut code = 0;
    for kernel in &kernels {
        eprintln!("--- {} ({}, {})", kernel.label, kernel.release, host.accel);
        let limit = Duration::from_secs(args.timeout.saturating_add(300));
        let report = host.run(kernel, &image, &job, limit, show)?;
        if let Some(died) = report.died {
            eprintln!("{}", died.console);
            bail!("{}: {}", kernel.label, died.reason);
        }
        let (_, outcome) = report.done.first().context("the guest reported no result")?;
        if let Some(error) = &outcome.error {
            eprintln!("{error}");
        }
        if outcome.timed_out {
            eprintln!("killed after {} s", args.timeout);
        }
        if !outcome.passed() && code == 0 {
            // As a shell reports a signal.
            let signal = outcome.signal.map(|s| 128 + s);
            code = outcome.code.or(signal).unwrap_or(1);
        }
    }
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// The kernels that an option names, all of them in the cache.
///
/// # Errors
/// If one is not known or not in the cache.
pub fn kernels(paths: &Paths, option: &str) -> Result<Vec<Kernel>> {
    let cached = |label| Kernel::cached(&paths.vm_cache, label);
    if option == "all" {
        let kernels: Vec<_> = Label::ALL.into_iter().filter_map(cached).collect();
        if kernels.is_empty() {
            bail!("there is no guest kernel: run `cargo xtask setup`");
        }
        return Ok(kernels);
    }
    let label: Label = option.parse().map_err(anyhow::Error::msg)?;
    let kernel = cached(label)
        .with_context(|| format!("kernel {label} is not in the cache: run `cargo xtask setup`"))?;
    Ok(vec![kernel])
}

fn job(args: &Args) -> Result<Job> {
    let task = Task {
        name: "command".into(),
        argv: args.command.clone(),
        timeout_ms: args.timeout.saturating_mul(1000),
        stream: true,
    };
    let env = args
        .env
        .iter()
        .map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .with_context(|| format!("--env takes NAME=VALUE, got {pair}"))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect::<Result<_>>()?;
    Ok(Job { hostname: "faultd-vm".into(), env, tasks: vec![task] })
}

fn show(event: &Event) {
    match event {
        Event::Booted { uptime_ms, .. } => eprintln!("--- up after {uptime_ms} ms"),
        Event::Output { text } => {
            // A closed pipe is the reader's business.
            let _ = stdout().write_all(text.as_bytes());
            let _ = stdout().flush();
        }
        Event::Started { .. } | Event::Done { .. } | Event::Broken { .. } | Event::End => {}
    }
}
