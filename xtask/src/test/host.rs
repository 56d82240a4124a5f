//! The host tier: privileged tests on the running kernel.

use anyhow::Result;
use faultd_guest::{Task, run as run_task};

use super::{
    Tier,
    artifacts::{Artifacts, Executable},
    report::{Report, TestResult},
};
use crate::cmd::command;

/// For one test, where nothing is emulated.
pub const LIMIT_MS: u64 = 120_000;

/// Arguments that make an executable run one test and show what it prints.
pub const ONE_TEST: [&str; 3] = ["--exact", "--nocapture", "--test-threads=1"];

/// Runs every privileged test in a process of its own.
///
/// # Errors
/// If an executable does not list its tests.
pub fn run(artifacts: &Artifacts, filter: &str, report: &mut Report) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        let why = "needs root: run `cargo xtask test` as root".to_owned();
        report.add(TestResult::cannot_run(Tier::Host, None, why));
        return Ok(());
    }
    for executable in &artifacts.privileged {
        for test in executable.tests(filter)? {
            report.add(run_test(artifacts, executable, &test)?);
        }
    }
    Ok(())
}

fn run_test(artifacts: &Artifacts, executable: &Executable, test: &str) -> Result<TestResult> {
    let name = executable.full_name(test);
    let task = Task {
        name: name.clone(),
        argv: vec![executable.path.display().to_string(), test.to_owned()],
        timeout_ms: LIMIT_MS,
        stream: false,
    };
    let mut command = command(&executable.path, &[test]);
    command
        .args(ONE_TEST)
        .current_dir(&executable.dir)
        .env("FAULTD_TEST_TIER", "host")
        .env("FAULTD_BIN", artifacts.program("faultd")?)
        .env("FAULTCTL_BIN", artifacts.program("faultctl")?)
        .env("FAULTLOAD_BIN", artifacts.program("faultload")?);
    let outcome = run_task(&task, &mut command, |_| {});
    Ok(TestResult::of_process(Tier::Host, None, &name, outcome))
}
