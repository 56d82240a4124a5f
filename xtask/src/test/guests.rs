//! The VM tier: the privileged tests on every kernel of the matrix.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use faultd_guest::{Event, Job, Outcome, Task};

use super::{
    Tier,
    artifacts::Artifacts,
    host::{LIMIT_MS, ONE_TEST},
    report::{Report, TestResult, Verdict},
    unit::Left,
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

/// Tests whose bounds are on time. Emulated guests run them by a clock of their own, so that they
/// say the same on a busy machine; the others get done sooner by the host's.
const BY_THE_CLOCK: [&str; 4] = ["jitter::", "latency::", "qdisc::", "delay_line::timing::"];

/// Tests about what programs compute and what the daemon says, which no kernel changes: on the
/// newest kernel alone, for the sake of time. The host tier has them too.
const ON_THE_NEWEST: [&str; 26] = [
    "delay_line::timing::",
    "explain::",
    "fixtures::",
    "hits::",
    "idle::it_stays_small",
    "jitter::",
    "kill::a_",
    "kill::each_way",
    "kill::no_kill",
    "kill::other",
    "kill::what_",
    "kill::who_",
    "kill::without",
    "latency::counts_once",
    "load::",
    "loss::a_seed",
    "loss::correlation",
    "loss::draws",
    "loss::every_nth",
    "loss::gilbert",
    "loss::the_ratio",
    "oom::groups",
    "pause::explain",
    "scale::",
    "service::",
    "syscall::thirty",
];

/// Suites about requests, refusals and output. A kernel has no part in these: what the host tier
/// says of them holds everywhere. And one test of version 1 control groups, which guests lack.
const HOST_ONLY: [&str; 4] =
    ["api::", "cli::", "input::", "kill::version_one_groups_are_targets_too"];

/// For one part of the tests on one kernel.
const KERNEL_LIMIT: Duration = Duration::from_secs(60 * 60);

/// Runs every privileged test, and the unit tests that the host could not, on every kernel that
/// `kernels` names.
///
/// # Errors
/// If an executable does not list its tests, or QEMU does not start.
pub fn run(
    paths: &Paths,
    artifacts: &Artifacts,
    left: &[Left<'_>],
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
    let mut work = Work::default();
    work.add_privileged(artifacts, filter, &payload)?;
    work.add_left(left, &payload)?;
    if work.tasks.is_empty() {
        return Ok(());
    }
    let mut env = BTreeMap::from([("FAULTD_TEST_TIER".to_owned(), "vm".to_owned())]);
    for program in &artifacts.programs {
        let name = program.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        env.insert(format!("{name}_BIN"), payload.program(program)?);
    }
    let image = payload.image()?;
    let exact = host.by_instructions();
    let (by_the_clock, others) = work.parts();
    let guest = |label, host, tasks, is_final| {
        let (image, work, env) = (&*image, &work, &env);
        Guest { label, host, image, work, tasks, env, is_final }
    };
    let mut boots = Vec::new();
    // The longer part first.
    for (host, tasks, is_final) in
        [(&exact, &by_the_clock, true), (&host, &others, exact.accel == host.accel)]
    {
        for &label in &labels {
            boots.push(guest(label, host, for_kernel(label, &labels, tasks), is_final));
        }
    }
    let results = Mutex::new(Results { report, doubtful: Vec::new() });
    boot_all(boots, paths, &results)?;
    let doubtful = mem::take(&mut lock(&results).doubtful);
    let again = |label: Label| {
        let names: BTreeSet<&str> =
            doubtful.iter().filter(|d| d.0 == label).map(|d| d.1.name.as_str()).collect();
        work.tasks.iter().filter(|t| names.contains(t.name.as_str())).cloned().collect()
    };
    for (label, TestResult { name, ms, note, output, .. }) in &doubtful {
        let note = note.as_deref().unwrap_or_default();
        println!("again: {label} {name} failed by the host's clock ({ms} ms) {note}\n{output}");
    }
    let boots = labels.iter().map(|&label| guest(label, &exact, again(label), true)).collect();
    boot_all(boots, paths, &results)
}

/// What guests report to.
struct Results<'a> {
    report: &'a mut Report,
    /// Tests that failed by the host's clock. It stutters when the host is busy; what they are
    /// worth is decided by the guest's own.
    doubtful: Vec<(Label, TestResult)>,
}

/// Boots guests, several at a time, and waits until they are done.
fn boot_all(boots: Vec<Guest<'_>>, paths: &Paths, results: &Mutex<Results<'_>>) -> Result<()> {
    // A test waits about half of its time, so two guests share a processor well.
    let parallel = 2 * thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(boots.into_iter().filter(|guest| !guest.tasks.is_empty()));
    let next = || lock(&queue).next();
    let worker = || -> Result<()> {
        while let Some(guest) = next() {
            guest.run(&paths.vm_cache, results)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..parallel).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One part of the tests on one kernel.
struct Guest<'a> {
    label: Label,
    host: &'a Host,
    image: &'a Path,
    work: &'a Work,
    tasks: Vec<Task>,
    env: &'a BTreeMap<String, String>,
    /// Whether what fails here has failed.
    is_final: bool,
}

impl Guest<'_> {
    fn run(&self, cache: &Path, results: &Mutex<Results<'_>>) -> Result<()> {
        let add = |result: TestResult| {
            let mut results = lock(results);
            if self.is_final || result.verdict != Verdict::Failed {
                results.report.add(result);
            } else {
                results.doubtful.push((self.label, result));
            }
        };
        let Some(kernel) = Kernel::cached(cache, self.label) else {
            let why = "not in the cache: run `cargo xtask setup`".to_owned();
            add(TestResult::cannot_run(Tier::Vm, Some(self.label), why));
            return Ok(());
        };
        println!("booting {} ({})", kernel.release, self.host.accel);
        let mut env = self.env.clone();
        env.insert("FAULTD_TEST_SLOW".to_owned(), self.host.accel.slowness().to_string());
        run_all(self.label, &self.tasks, add, |tasks, limit| {
            let job = Job { hostname: "faultd-vm".into(), env: env.clone(), tasks: tasks.to_vec() };
            let ended = self.host.run(&kernel, self.image, &job, limit, |event| {
                if let Event::Done { name, outcome } = event {
                    add(self.work.result(self.label, name, outcome.clone()));
                }
            })?;
            Ok((ended.done.len(), ended.died))
        })
    }
}

/// The tests of every guest.
#[derive(Default)]
struct Work {
    tasks: Vec<Task>,
    /// Those that are unit tests.
    left: BTreeSet<String>,
}

impl Work {
    fn add_privileged(
        &mut self,
        artifacts: &Artifacts,
        filter: &str,
        payload: &Payload,
    ) -> Result<()> {
        for executable in &artifacts.privileged {
            let mut tests = executable.tests(filter)?;
            tests.retain(|test| !is_in(&HOST_ONLY, &executable.full_name(test)));
            if tests.is_empty() {
                continue;
            }
            let program = payload.program(&executable.path)?;
            let tasks = tests.into_iter().map(|t| task(executable.full_name(&t), &program, t));
            self.tasks.extend(tasks);
        }
        Ok(())
    }

    fn add_left(&mut self, left: &[Left<'_>], payload: &Payload) -> Result<()> {
        for left in left {
            let program = payload.program(&left.executable.path)?;
            let name = left.executable.full_name(&left.test);
            self.left.insert(name.clone());
            self.tasks.push(task(name, &program, left.test.clone()));
        }
        Ok(())
    }

    /// The tests whose bounds are on time, and the others.
    fn parts(&self) -> (Vec<Task>, Vec<Task>) {
        self.tasks.iter().cloned().partition(|task| is_in(&BY_THE_CLOCK, &task.name))
    }

    /// A unit test needs one kernel that can run it, not all of them.
    fn result(&self, label: Label, name: &str, outcome: Outcome) -> TestResult {
        let mut result = TestResult::of_process(Tier::Vm, Some(label), name, outcome);
        if result.verdict == Verdict::Skipped && self.left.contains(name) {
            result.verdict = Verdict::LeftToVm;
        }
        result
    }
}

/// Those of `tasks` that guests of this kernel run when all of `labels` are tested.
fn for_kernel(label: Label, labels: &[Label], tasks: &[Task]) -> Vec<Task> {
    let all = label == Label::Newest || !labels.contains(&Label::Newest);
    tasks.iter().filter(|task| all || !is_in(&ON_THE_NEWEST, &task.name)).cloned().collect()
}

fn is_in(suites: &[&str], name: &str) -> bool {
    suites.iter().any(|suite| name.starts_with(suite))
}

fn task(name: String, program: &str, test: String) -> Task {
    let argv = [program.to_owned(), test].into_iter().chain(ONE_TEST.map(str::to_owned));
    Task { name, argv: argv.collect(), timeout_ms: LIMIT_MS * 3, stream: false }
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
/// those that are left when the guest keeps dying or the time is up. `boot` returns how many tasks
/// ended.
fn run_all(
    label: Label,
    tasks: &[Task],
    add: impl Fn(TestResult),
    mut boot: impl FnMut(&[Task], Duration) -> Result<(usize, Option<Died>)>,
) -> Result<()> {
    let mut left = tasks;
    let end = Instant::now() + KERNEL_LIMIT;
    for _ in 0..=RESTARTS {
        let limit = end.saturating_duration_since(Instant::now());
        let (done, died) = boot(left, limit)?;
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
        add(failure(label, &task.name, &died.reason, died.console));
        left = rest;
        if left.is_empty() {
            return Ok(());
        }
    }
    for task in left {
        let why = "not run: the guest kept dying, or its time was up";
        add(failure(label, &task.name, why, String::new()));
    }
    Ok(())
}

fn failure(label: Label, name: &str, reason: &str, console: String) -> TestResult {
    let outcome = Outcome { error: Some(reason.to_owned()), output: console, ..Outcome::default() };
    TestResult::of_process(Tier::Vm, Some(label), name, outcome)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn tasks(names: &[&str]) -> Vec<Task> {
        names.iter().map(|n| Task { name: (*n).to_owned(), ..Task::default() }).collect()
    }

    fn died(during: Option<&str>) -> Option<Died> {
        let during = during.map(str::to_owned);
        Some(Died { reason: "Kernel panic".into(), during, console: "trace".into() })
    }

    /// Names of the tests that `run_all` declares as failed.
    fn failed(
        names: &[&str],
        boot: impl FnMut(&[Task], Duration) -> Result<(usize, Option<Died>)>,
    ) -> Vec<String> {
        let failed = RefCell::new(Vec::new());
        let add = |result: TestResult| {
            assert_eq!(result.verdict, Verdict::Failed);
            failed.borrow_mut().push(result.name);
        };
        run_all(Label::V6_1, &tasks(names), add, boot).unwrap();
        failed.into_inner()
    }

    #[test]
    fn the_newest_kernel_stands_in_for_the_others_where_it_is_tested() {
        let tasks = tasks(&["jitter::normal", "safety::sigkill_of_the_daemon"]);
        let on = |label, labels: &[Label]| {
            for_kernel(label, labels, &tasks).into_iter().map(|t| t.name).collect::<Vec<_>>()
        };
        assert_eq!(on(Label::V6_1, &Label::MATRIX), ["safety::sigkill_of_the_daemon"]);
        assert_eq!(on(Label::Newest, &Label::MATRIX).len(), 2);
        assert_eq!(on(Label::V6_1, &[Label::V6_1]).len(), 2);
    }

    #[test]
    fn a_crash_costs_one_test() {
        let mut boots = Vec::new();
        let failed = failed(&["a", "b", "c"], |left, _| {
            boots.push(left.iter().map(|t| t.name.clone()).collect::<Vec<_>>().join(""));
            Ok(if left[0].name == "a" { (1, died(Some("b"))) } else { (1, None) })
        });
        assert_eq!(boots, ["abc", "c"]);
        assert_eq!(failed, ["b"]);
    }

    #[test]
    fn a_guest_that_never_comes_up_fails_every_test() {
        let mut boots = 0;
        let failed = failed(&["a", "b"], |_, _| {
            boots += 1;
            Ok((0, died(None)))
        });
        assert_eq!(boots, RESTARTS + 1);
        assert_eq!(failed, ["a", "b"]);
    }
}
