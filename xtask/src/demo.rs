//! `cargo xtask demo`: the main job on real traffic, here or in a guest.

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use faultd_guest::{Event, Job, Task};

use crate::{
    binaries,
    cmd::run,
    paths::Paths,
    setup,
    vm::{
        Payload,
        kernel::{Kernel, Label},
        run::Host,
    },
};

/// What the demo's own check answers where a kind of fault has no backend.
const NOT_HERE: i32 = 5;
/// In a guest under emulation.
const GUEST_LIMIT: Duration = Duration::from_secs(300);

/// Where to play.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// In a guest with this kernel (6.1, 6.12, newest, stock), even where this host could do it
    #[arg(long, value_name = "KERNEL", num_args = 0..=1, default_missing_value = "newest")]
    vm: Option<String>,
}

/// Sets up what is missing, builds, and plays.
///
/// # Errors
/// If something cannot be set up or built. A demo that fails is an exit code.
pub fn demo(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let quietly = setup::Options { quiet: true, ..Default::default() };
    setup::setup(paths, quietly)?;
    let programs = Programs::build(paths)?;
    if let Some(kernel) = &args.vm {
        return programs.in_guest(paths, kernel);
    }
    match programs.fit_here()? {
        None => programs.here(),
        Some(why) => {
            println!("Not on this host: {why}\nIn a guest instead.\n");
            programs.in_guest(paths, "newest")
        }
    }
}

struct Programs {
    demo: PathBuf,
    tested: Vec<PathBuf>,
}

impl Programs {
    fn build(paths: &Paths) -> Result<Self> {
        let tested = binaries::build(paths)?;
        let wanted = ["build", "--quiet", "--package", "faultd-tests", "--bin", "faultd-demo"];
        run(binaries::cargo(paths).args(wanted))?;
        Ok(Self { demo: paths.target.join("debug/faultd-demo"), tested })
    }

    /// `None` where this host can do it, else the reason.
    fn fit_here(&self) -> Result<Option<String>> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(Some("it takes root".to_owned()));
        }
        let output = self.command().arg("--check").output().context("could not run the demo")?;
        match output.status.code() {
            Some(0) => Ok(None),
            Some(NOT_HERE) => Ok(Some(one_line(&output.stdout))),
            _ => Ok(Some(one_line(&output.stderr))),
        }
    }

    fn here(&self) -> Result<ExitCode> {
        println!("On this host.\n");
        let status = self.command().status().context("could not run the demo")?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.demo);
        for program in &self.tested {
            command.env(variable(program), program);
        }
        command
    }

    fn in_guest(&self, paths: &Paths, kernel: &str) -> Result<ExitCode> {
        let label: Label = kernel.parse().map_err(anyhow::Error::msg)?;
        let kernel = Kernel::cached(&paths.vm_cache, label)
            .with_context(|| format!("kernel {label} is not there: run `cargo xtask setup`"))?;
        let host = Host::prepare(paths)?;
        println!("In a guest with Linux {} ({}).\n", kernel.release, host.accel);
        let payload = Payload::new(&host.scratch())?;
        let slow = ("FAULTD_TEST_SLOW".to_owned(), host.accel.slowness().to_string());
        let mut job = Job { hostname: "faultd-vm".into(), ..Default::default() };
        job.env.insert(slow.0, slow.1);
        for program in &self.tested {
            job.env.insert(variable(program), payload.program(program)?);
        }
        let argv = vec![payload.program(&self.demo)?];
        let timeout_ms = GUEST_LIMIT.as_millis() as u64;
        job.tasks = vec![Task { name: "demo".into(), argv, timeout_ms, stream: true }];
        let report = host.run(&kernel, &payload.image()?, &job, 2 * GUEST_LIMIT, |event| {
            if let Event::Output { text } = event {
                // A closed pipe is the reader's business.
                let _ = stdout().write_all(text.as_bytes());
                let _ = stdout().flush();
            }
        })?;
        if let Some(died) = report.died {
            bail!("the guest died: {}\n{}", died.reason, died.console);
        }
        let passed = report.done.iter().all(|(_, outcome)| outcome.passed());
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// `FAULTD_BIN` for `faultd`.
fn variable(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
    format!("{name}_BIN")
}

fn one_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).split_whitespace().collect::<Vec<_>>().join(" ")
}
