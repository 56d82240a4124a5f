//! The VM tier: the privileged tests on every kernel of the matrix.

use std::collections::BTreeMap;

use anyhow::Result;
use faultd_guest::{Event, Job, Outcome, Task};

use super::{
    Tier,
    artifacts::Artifacts,
    host::{LIMIT_MS, ONE_TEST, ignored_result},
    report::{Report, TestResult},
};
use crate::{
    paths::Paths,
    vm::{
        Payload,
        kernel::{Kernel, Label},
        run::{Died, Host},
    },
};

/// A kernel that dies is booted again for the tests that are left, this many times.
const RESTARTS: usize = 5;

/// Runs every privileged test on every kernel that `kernels` names.
///
/// # Errors
/// If an executable does not list its tests, or QEMU does not start.
pub fn run(
    paths: &Paths,
    artifacts: &Artifacts,
    kernels: &str,
    filter: &str,
    report: &mut Report,
) -> Result<()> {
    let labels = labels(paths, kernels)?;
    let host = match Host::prepare(paths) {
        Ok(host) => host,
        Err(error) => {
            for label in labels {
                let why = format!("{error:#}");
                report.add(TestResult::cannot_run(Tier::Vm, Some(label), why));
            }
            return Ok(());
        }
    };
    let payload = Payload::new(&host.scratch())?;
    let mut tasks = Vec::new();
    for executable in &artifacts.privileged {
        let program = payload.program(&executable.path)?;
        for (test, ignored) in executable.tests(filter)? {
            let name = executable.full_name(&test);
            if ignored {
                report.add(ignored_result(Tier::Vm, &name));
                continue;
            }
            let argv = [program.clone(), test].into_iter();
            let argv = argv.chain(ONE_TEST.map(str::to_owned)).collect();
            tasks.push(Task { name, argv, timeout_ms: LIMIT_MS * 3, stream: false });
        }
    }
    let mut env = BTreeMap::from([
        ("FAULTD_TEST_TIER".to_owned(), "vm".to_owned()),
        ("FAULTD_TEST_SLOW".to_owned(), host.accel.slowness().to_string()),
    ]);
    for program in &artifacts.programs {
        let name = program.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        env.insert(format!("{name}_BIN"), payload.program(program)?);
    }
    let image = payload.image()?;
    if tasks.is_empty() {
        return Ok(());
    }
    for label in labels {
        let Some(kernel) = Kernel::cached(&paths.vm_cache, label) else {
            let why = "not in the cache: run `cargo xtask setup`".to_owned();
            report.add(TestResult::cannot_run(Tier::Vm, Some(label), why));
            continue;
        };
        println!("booting {} ({:?})", kernel.release, host.accel);
        let boot = |tasks: &[Task], report: &mut Report| {
            let job = Job { hostname: "faultd-vm".into(), env: env.clone(), tasks: tasks.to_vec() };
            let ended = host.run(&kernel, &image, &job, |event| {
                if let Event::Done { name, outcome } = event {
                    report.add(TestResult::of_process(
                        Tier::Vm,
                        Some(label),
                        name,
                        outcome.clone(),
                    ));
                }
            })?;
            Ok((ended.done.len(), ended.died))
        };
        run_all(label, &tasks, report, boot)?;
    }
    Ok(())
}

/// Which kernels are wanted, whether they are there or not.
fn labels(paths: &Paths, option: &str) -> Result<Vec<Label>> {
    if option != "all" {
        return Ok(vec![option.parse().map_err(anyhow::Error::msg)?]);
    }
    let mut labels = Label::MATRIX.to_vec();
    // The distribution's own kernel stands in where there is none of the matrix.
    if Kernel::cached(&paths.vm_cache, Label::Stock).is_some() {
        labels.push(Label::Stock);
    }
    Ok(labels)
}

/// Boots until every task has a result. A task during which the guest dies has failed, and so have
/// those that are left when the guest keeps dying. `boot` returns how many tasks ended.
fn run_all(
    label: Label,
    tasks: &[Task],
    report: &mut Report,
    mut boot: impl FnMut(&[Task], &mut Report) -> Result<(usize, Option<Died>)>,
) -> Result<()> {
    let mut left = tasks;
    for _ in 0..=RESTARTS {
        let (done, died) = boot(left, report)?;
        left = left.get(done..).unwrap_or_default();
        let Some(died) = died else { return Ok(()) };
        // Without a task it died while booting, or between two tasks: the next one will tell.
        let (Some(_), Some((task, rest))) = (&died.during, left.split_first()) else {
            println!("guest {label}: {}\n{}", died.reason, died.console);
            if left.is_empty() {
                return Ok(());
            }
            continue;
        };
        report.add(failure(label, &task.name, &died.reason, died.console));
        left = rest;
        if left.is_empty() {
            return Ok(());
        }
    }
    for task in left {
        report.add(failure(label, &task.name, "not run: the guest kept dying", String::new()));
    }
    Ok(())
}

fn failure(label: Label, name: &str, reason: &str, console: String) -> TestResult {
    let outcome = Outcome { error: Some(reason.to_owned()), output: console, ..Outcome::default() };
    TestResult::of_process(Tier::Vm, Some(label), name, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(names: &[&str]) -> Vec<Task> {
        names.iter().map(|n| Task { name: (*n).to_owned(), ..Task::default() }).collect()
    }

    fn died(during: Option<&str>) -> Option<Died> {
        let during = during.map(str::to_owned);
        Some(Died { reason: "Kernel panic".into(), during, console: "trace".into() })
    }

    #[test]
    fn a_crash_costs_one_test() {
        let mut report = Report::new();
        let mut boots = Vec::new();
        run_all(Label::V6_1, &tasks(&["a", "b", "c"]), &mut report, |left, _| {
            boots.push(left.iter().map(|t| t.name.clone()).collect::<Vec<_>>().join(""));
            Ok(if left[0].name == "a" { (1, died(Some("b"))) } else { (1, None) })
        })
        .unwrap();
        assert_eq!(boots, ["abc", "c"]);
        assert_eq!(report.names_of_failed(), ["b"]);
    }

    #[test]
    fn a_guest_that_never_comes_up_fails_every_test() {
        let mut report = Report::new();
        let mut boots = 0;
        run_all(Label::V6_1, &tasks(&["a", "b"]), &mut report, |_, _| {
            boots += 1;
            Ok((0, died(None)))
        })
        .unwrap();
        assert_eq!(boots, RESTARTS + 1);
        assert_eq!(report.names_of_failed(), ["a", "b"]);
    }
}
