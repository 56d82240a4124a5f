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

/// A test that this kernel cannot run: the guests have to.
#[derive(Debug, PartialEq, Eq)]
pub struct Left<'a> {
    /// Where it is.
    pub executable: &'a Executable,
    /// Its name in there.
    pub test: String,
}

/// Runs the tests of every crate, and returns those that skipped themselves.
///
/// # Errors
/// If cargo cannot be run.
pub fn run<'a>(
    paths: &Paths,
    artifacts: &'a Artifacts,
    filter: &str,
    report: &mut Report,
) -> Result<Vec<Left<'a>>> {
    let mut left = Vec::new();
    for executable in &artifacts.unit {
        let skipped = run_executable(executable, filter, report);
        left.extend(skipped.into_iter().map(|test| Left { executable, test }));
    }
    doc_tests(paths, filter, report)?;
    Ok(left)
}

fn run_executable(executable: &Executable, filter: &str, report: &mut Report) -> Vec<String> {
    // The executable knows the test's own name alone.
    let filter = if executable.name.contains(filter) { "" } else { filter };
    let mut command = command(&executable.path, &["--show-output"]);
    command.args(Some(filter).filter(|f| !f.is_empty())).current_dir(&executable.dir);
    let task = Task {
        name: executable.name.clone(),
        argv: vec![executable.path.display().to_string()],
        timeout_ms: LIMIT_MS,
        stream: false,
    };
    let mut bytes = Vec::new();
    let outcome = run_task(&task, &mut command, |more| bytes.extend_from_slice(more));
    add(&executable.name, &String::from_utf8_lossy(&bytes), outcome, report)
}

fn doc_tests(paths: &Paths, filter: &str, report: &mut Report) -> Result<()> {
    let mut cargo = binaries::cargo(paths);
    cargo.args(["test", "--quiet", "--doc", "--features", "faultd/failpoints", "--"]);
    cargo.args(Some(filter).filter(|f| !f.is_empty()));
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
/// Returns the tests that skipped themselves.
fn add(executable: &str, text: &str, outcome: Outcome, report: &mut Report) -> Vec<String> {
    let mut failures = 0;
    let mut left = Vec::new();
    for line in libtest::verdicts(text) {
        let (test, (verdict, note)) = match line {
            Line::Ok(test) => {
                match of_remark(Remark::find(libtest::section(text, test)).as_ref()) {
                    (Verdict::Ok, _) => (test, (Verdict::Ok, None)),
                    (_, reason) => {
                        left.push(test.to_owned());
                        (test, (Verdict::LeftToVm, reason))
                    }
                }
            }
            Line::Failed(test) => (test, (Verdict::Failed, None)),
            // A helper that another test starts, or a benchmark.
            Line::Ignored => continue,
        };
        failures += usize::from(verdict == Verdict::Failed);
        let name = format!("{executable}::{test}");
        report.add(TestResult::of_unit_test(name, verdict, note, libtest::section(text, test)));
    }
    if !outcome.passed() && failures == 0 {
        report.add(TestResult::of_process(Tier::Unit, None, executable, outcome));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 3 tests\ntest a ... ok\ntest b ... ok\ntest c ... FAILED\n\n\
        successes:\n\n---- b stdout ----\nSKIPPED: no fq\n\n\nsuccesses:\n    a\n    b\n\n\
        failures:\n\n---- c stdout ----\nboom\n\n\nfailures:\n    c\n";

    #[test]
    fn a_test_that_skips_itself_is_left_to_the_guests() {
        let mut report = Report::new();
        let failed = Outcome { code: Some(101), ..Outcome::default() };
        assert_eq!(add("x", OUTPUT, failed, &mut report), ["b"]);
        assert_eq!(report.names_of_failed(), ["x::c"]);
    }

    #[test]
    fn a_crash_is_a_result_of_the_executable() {
        let mut report = Report::new();
        let killed = Outcome { signal: Some(11), ..Outcome::default() };
        add("x", "running 3 tests\ntest a ... ok\n", killed, &mut report);
        assert_eq!(report.names_of_failed(), ["x"]);
    }
}
