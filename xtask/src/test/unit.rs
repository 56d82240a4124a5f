//! The unit tier: every crate's own tests and the examples in its documentation.

use anyhow::Result;
use faultd_guest::{Outcome, Remark, Task, run as run_task};

use super::{
    Tier,
    artifacts::{Artifacts, Executable},
    libtest::{self, Line},
    report::{Report, TestResult, Verdict, of_remark},
};
use crate::{
    binaries,
    cmd::{command, output},
    paths::Paths,
};

/// For all tests of one crate.
const LIMIT_MS: u64 = 300_000;

/// Runs the tests of every crate.
///
/// # Errors
/// If cargo cannot be run.
pub fn run(paths: &Paths, artifacts: &Artifacts, filter: &str, report: &mut Report) -> Result<()> {
    for executable in &artifacts.unit {
        run_executable(executable, filter, report);
    }
    doc_tests(paths, filter, report)
}

fn run_executable(executable: &Executable, filter: &str, report: &mut Report) {
    // The executable knows the test's own name alone.
    let filter = if executable.name.contains(filter) { "" } else { filter };
    let mut command = command(&executable.path, &["--show-output", filter]);
    command.current_dir(&executable.dir);
    let task = Task {
        name: executable.name.clone(),
        argv: vec![executable.path.display().to_string()],
        timeout_ms: LIMIT_MS,
        stream: false,
    };
    let mut bytes = Vec::new();
    let outcome = run_task(&task, &mut command, |more| bytes.extend_from_slice(more));
    add(&executable.name, &String::from_utf8_lossy(&bytes), outcome, report);
}

fn doc_tests(paths: &Paths, filter: &str, report: &mut Report) -> Result<()> {
    let mut cargo = binaries::cargo(paths);
    cargo.args(["test", "--quiet", "--doc", "--features", "faultd/failpoints", "--", filter]);
    // One line for each test, instead of cargo's dots for quiet runs.
    let done = output(cargo.args(["--show-output", "--format", "pretty"]))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let outcome = Outcome {
        code: done.status.code(),
        output: format!("{text}{}", String::from_utf8_lossy(&done.stderr)),
        ..Outcome::default()
    };
    add("doc", &text, outcome, report);
    Ok(())
}

/// Adds a result for each test of an executable, and one for the executable itself if it failed
/// in a way that no test accounts for: a crash, a hang, a compiler error in an example.
fn add(executable: &str, text: &str, outcome: Outcome, report: &mut Report) {
    let mut failures = 0;
    for line in libtest::verdicts(text) {
        let (test, (verdict, note)) = match line {
            Line::Ok(test) => {
                (test, of_remark(Remark::find(libtest::section(text, test)).as_ref()))
            }
            Line::Failed(test) => (test, (Verdict::Failed, None)),
            Line::Ignored(test, reason) => (test, (Verdict::Skipped, Some(reason.to_owned()))),
        };
        failures += usize::from(verdict == Verdict::Failed);
        let name = format!("{executable}::{test}");
        report.add(TestResult::of_unit_test(name, verdict, note, libtest::section(text, test)));
    }
    if !outcome.passed() && failures == 0 {
        report.add(TestResult::of_process(Tier::Unit, None, executable, outcome));
    }
}
