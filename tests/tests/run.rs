//! `faultctl run`: a command whose system calls fail, without a daemon.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use faultd_tests::{
    Outcome, ctl, eventually, process, skip, slowly, stats::binomial_999, stretched,
};
use nix::{errno::Errno, sys::signal::Signal};
use serde_json::Value;
use tempfile::TempDir;

/// `faultctl run --fault …`, up to the command.
fn run(faults: &[&str]) -> Command {
    let mut command = Command::new(ctl::binary("FAULTCTL_BIN", "faultctl"));
    command.env("NO_COLOR", "1").env("LC_ALL", "C").args(["--json", "run", "--seed", "7"]);
    for fault in faults {
        command.args(["--fault", fault]);
    }
    command.arg("--");
    command
}

/// The report of a run: the last line of its standard error.
fn report(outcome: &Outcome) -> Value {
    let line = outcome.stderr.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {}", outcome.stderr))
}

fn counter(outcome: &Outcome, fault: usize, name: &str) -> u64 {
    report(outcome)["faults"][fault]["counters"][name].as_u64().unwrap()
}

fn shell(faults: &[&str], script: &str) -> Outcome {
    Outcome::of(run(faults).args(["sh", "-c", script]))
}

/// This executable, running one of the helpers below.
fn helper(command: &mut Command, name: &str, dir: &Path) -> Outcome {
    let exe = env::current_exe().unwrap();
    let args = ["--ignored", "--exact", name, "--nocapture"];
    Outcome::of(command.arg(exe).args(args).env("FAULTD_HELPER_DIR", dir))
}

/// `name=N` in the output of a helper.
fn told(outcome: &Outcome, name: &str) -> u64 {
    let prefix = format!("{name}=");
    let value = outcome.stdout.split_whitespace().find_map(|word| word.strip_prefix(&prefix));
    value.and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("no {name}: {outcome:?}"))
}

fn helper_dir() -> std::path::PathBuf {
    env::var_os("FAULTD_HELPER_DIR").map(Into::into).unwrap()
}

/// A directory with a file `in`, and a file `out` beside it.
fn place() -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("app")).unwrap();
    fs::write(dir.path().join("app/in"), "inside\n").unwrap();
    fs::write(dir.path().join("out"), "outside\n").unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    (dir, path)
}

#[test]
fn real_programs_meet_exactly_the_error_on_exactly_the_path() {
    let (_dir, path) = place();
    let fault = format!("syscall --call openat,open --errno ENOSPC --path {path}/app");
    let outcome = shell(&[&fault], &format!("echo x > {path}/app/new || exit 9"));
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);
    assert!(!Path::new(&path).join("app/new").exists());

    let outcome = shell(&[&fault], &format!("cat {path}/app/in; cat {path}/out"));
    assert_eq!(outcome.stdout, "outside\n");
    assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);
    assert_eq!((counter(&outcome, 0, "matched"), counter(&outcome, 0, "failed")), (1, 1));
    // Relative to a working directory and through `..` it is the same file.
    let outcome = shell(&[&fault], &format!("cd {path}/app && cat in ../app/in ../out"));
    assert_eq!(outcome.stdout, "outside\n");
    assert_eq!(counter(&outcome, 0, "failed"), 2);

    let write = format!("syscall --call write --errno EDQUOT --path {path}/app");
    let copy = |to: &str| format!("dd if=/dev/zero of={path}/{to} bs=1k count=1 2>&1");
    let outcome = shell(&[&write], &format!("{}; {}", copy("app/new"), copy("new")));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("app/new': Disk quota exceeded"), "{}", outcome.stdout);
    assert_eq!(fs::metadata(format!("{path}/new")).unwrap().len(), 1024);
    // And nothing is left: the same without a fault.
    assert!(Command::new("sh").args(["-c", &copy("app/new")]).output().unwrap().status.success());
}

#[test]
fn an_interpreter_reports_the_error_by_name() {
    // What `python3` really is: it may be a script that needs forks itself.
    let ask = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let Ok(output) = ask else { skip!("there is no python3") };
    let python = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let script = "import errno, socket, os\n\
        for call in (lambda: socket.create_connection(('127.0.0.1', 9)), lambda: os.mkdir('/tmp'), os.fork):\n\
        \x20   try: call()\n\
        \x20   except OSError as e: print(errno.errorcode[e.errno])\n";
    let faults = [
        "syscall --call connect --errno ENETDOWN",
        "syscall --call mkdir,mkdirat --errno EROFS",
        "syscall --call clone,clone3,fork --errno EAGAIN",
    ];
    let outcome = Outcome::of(run(&faults).args([&python, "-c", script]));
    assert_eq!(outcome.stdout, "ENETDOWN\nEROFS\nEAGAIN\n", "{}", outcome.stderr);
}

#[test]
fn status_and_signals_pass_through() {
    let fault = ["syscall --call fsync --errno EIO"];
    for code in [0, 7, 255] {
        assert_eq!(shell(&fault, &format!("exit {code}")).code, Some(code));
    }
    assert_eq!(shell(&fault, "kill -KILL $$").code, Some(128 + 9));
    assert_eq!(Outcome::of(run(&fault).arg("no-such-command")).code, Some(127));
    assert_eq!(Outcome::of(run(&fault).arg("/etc/hostname")).code, Some(126));
    // The pipe's reader has gone: the command dies of SIGPIPE as it would alone.
    let outcome = shell(&fault, "kill -PIPE $$; exit 0");
    assert_eq!(outcome.code, Some(128 + 13));

    let script = "trap 'exit 41' USR1; echo ready; while :; do sleep 0.01; done";
    let mut started = start(&fault, &["sh", "-c", script]);
    assert_eq!(started.line(), "ready");
    process::signal(started.child.id(), Signal::SIGUSR1);
    assert_eq!(started.child.wait().unwrap().code(), Some(41));
}

#[test]
fn children_are_hit_too() {
    let (_dir, path) = place();
    let fault = format!("syscall --call openat,open --errno EMFILE --path {path}/app/in");
    let outcome =
        shell(&[&fault], &format!("sh -c 'sh -c \"cat {path}/app/in\"; true'; cat {path}/out"));
    assert_eq!(outcome.stdout, "outside\n");
    assert!(outcome.stderr.contains("Too many open files"), "{}", outcome.stderr);
}

#[test]
fn at_most_five_of_64_racing_threads() {
    let (dir, path) = place();
    let fault = format!("syscall --call openat --errno ENFILE --max 5 --path {path}/app/in");
    let outcome = helper(&mut run(&[&fault]), "helper_that_races", dir.path());
    assert_eq!((told(&outcome, "failed"), told(&outcome, "other")), (5, 0));
    assert_eq!(told(&outcome, "opened"), 64 * 25 - 5);
    assert_eq!(counter(&outcome, 0, "matched"), 64 * 25);
    assert_eq!(counter(&outcome, 0, "failed"), 5);
}

#[test]
fn a_share_of_the_calls_and_every_nth() {
    let (dir, path) = place();
    let on = format!("--path {path}/app/in");
    let fault = format!("syscall --call openat --errno ENFILE --percent 10 {on}");
    let outcome = helper(&mut run(&[&fault]), "helper_that_races", dir.path());
    assert!(binomial_999(told(&outcome, "failed"), 64 * 25, 0.1), "{outcome:?}");
    assert_eq!(told(&outcome, "failed"), counter(&outcome, 0, "failed"));
    for (choice, expected) in [("--every 8", 200), ("--first 11", 11)] {
        let fault = format!("syscall --call openat --errno ENFILE {choice} {on}");
        let outcome = helper(&mut run(&[&fault]), "helper_that_races", dir.path());
        assert_eq!(told(&outcome, "failed"), expected, "{choice}");
    }
}

#[test]
fn delays_hold_only_the_calls_they_are_for() {
    let (dir, path) = place();
    let fault = format!("syscall --call openat --delay 300 --path {path}/app/in");
    let start = Instant::now();
    let outcome = helper(&mut run(&[&fault]), "helper_that_waits", dir.path());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    // Sixteen at once take as long as one, and meanwhile others are quick.
    assert!(told(&outcome, "shortest_ms") >= 300, "{outcome:?}");
    assert!(start.elapsed() < slowly(Duration::from_secs(3)), "{:?}", start.elapsed());
    assert!(told(&outcome, "other_ms") < 250, "{outcome:?}");
    assert_eq!(counter(&outcome, 0, "delayed"), 16);
}

#[test]
fn faults_end_before_the_command() {
    let (_dir, path) = place();
    let fault = format!("syscall --call openat,open --errno EIO --path {path}/app/in");
    let mut command = Command::new(ctl::binary("FAULTCTL_BIN", "faultctl"));
    // The first cat has to come in time, which takes a while under emulation.
    let time = format!("{}ms", stretched(500.0));
    let longer = stretched(700.0) / 1000.0;
    let script = format!("cat {path}/app/in; sleep {longer}; cat {path}/app/in");
    let outcome =
        Outcome::of(command.args(["run", "--for", &time, "--fault", &fault, "sh", "-c", &script]));
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), "inside\n"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("1 calls seen, 1 failed"), "{}", outcome.stderr);
}

#[test]
fn a_killed_supervisor_leaves_the_command_unharmed() {
    let (dir, path) = place();
    let faults = [
        format!("syscall --call openat,open --errno EIO --path {path}/app/in"),
        // Held when the supervisor dies.
        format!("syscall --call openat,open --delay 60000 --path {path}/held"),
    ];
    let script = format!(
        "(echo held > {path}/held; echo released) & \
         while ! cat {path}/app/in; do echo failing; sleep 0.02; done; echo over $$; wait; exec sleep 60"
    );
    let mut started = start(&faults.each_ref().map(String::as_str), &["sh", "-c", &script]);
    assert_eq!(started.line(), "failing");
    assert!(!dir.path().join("held").exists());
    process::signal(started.child.id(), Signal::SIGKILL);
    let killed = Instant::now();
    let mut seen = Vec::new();
    while !["inside", "released"].iter().all(|word| seen.iter().any(|line| line == word)) {
        seen.push(started.line());
    }
    assert!(killed.elapsed() < slowly(Duration::from_secs(1)), "{:?}", killed.elapsed());
    assert_eq!(fs::read_to_string(dir.path().join("held")).unwrap(), "held\n");
    let over = seen.iter().find_map(|line| line.strip_prefix("over ")).map(str::to_owned);
    let pid = over.unwrap_or_else(|| started.line().trim_start_matches("over ").to_owned());
    let command: u32 = pid.parse().unwrap();
    assert!(process::alive(command));
    // With the last process of the command the guard goes.
    assert_eq!(guards(&path).len(), 1);
    process::signal(command, Signal::SIGKILL);
    eventually(Duration::from_secs(1), "the guard has gone", || guards(&path).is_empty());
}

#[test]
fn what_the_command_leaves_behind_goes_on() {
    let (dir, path) = place();
    let fault = format!("syscall --call openat,open --errno EIO --path {path}/app");
    let script =
        format!("(sleep 0.4; echo late > {path}/app/new) > /dev/null 2>&1 & cat {path}/app/in");
    let outcome = shell(&[&fault], &script);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{}", outcome.stderr);
    let new = dir.path().join("app/new");
    eventually(Duration::from_secs(3), "the child writes", || {
        fs::read_to_string(&new).is_ok_and(|text| text == "late\n")
    });
    eventually(Duration::from_secs(1), "the guard has gone", || guards(&path).is_empty());
}

#[test]
fn needs_no_privileges() {
    let (dir, path) = place();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("faultctl");
    fs::copy(ctl::binary("FAULTCTL_BIN", "faultctl"), &program).unwrap();
    let fault = format!("syscall --call openat,open --errno ENOSPC --path {path}/app/in");
    let mut command = Command::new(program);
    command.args(["run", "--fault", &fault, "--", "cat"]).arg(format!("{path}/app/in"));
    let outcome =
        Outcome::of(command.arg(format!("{path}/out")).uid(65534).gid(65534).env("LC_ALL", "C"));
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(1), "outside\n"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("No space left on device"), "{}", outcome.stderr);
}

#[test]
fn refusals_say_what_is_wrong() {
    let inner = ctl::binary("FAULTCTL_BIN", "faultctl");
    let fault = "syscall --call fsync --errno EIO";
    let nested = Outcome::of(run(&[fault]).arg(&inner).args(["run", "--fault", fault, "true"]));
    assert_eq!(nested.code, Some(5), "{nested:?}");
    assert!(nested.stderr.contains("already runs under a seccomp supervisor"), "{}", nested.stderr);
    let refused = |fault: &str, words: &[&str]| {
        let mut command = Command::new(&inner);
        Outcome::of(command.env("NO_COLOR", "1").args(["run", "--fault", fault, "--", "true"]))
            .refused(2, words);
    };
    refused("syscall --call socket --errno EIO --path /x", &["--path", "socket"]);
    refused("syscall --call opemat --errno EIO", &["--call", "opemat"]);
    refused("latency --ms 5", &["syscall only", "inject"]);
}

/// Guards of runs that name `path`.
fn guards(path: &str) -> Vec<u32> {
    let named = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "faultctl-guard\n")
    };
    process::mentioning(path).into_iter().filter(named).collect()
}

struct Started {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Started {
    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

fn start(faults: &[&str], command: &[&str]) -> Started {
    let mut child =
        run(faults).args(command).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    Started { child, lines }
}

#[test]
#[ignore = "a program that other tests run"]
fn helper_that_races() {
    let file = helper_dir().join("app/in");
    let [failed, other, opened] = [const { AtomicU64::new(0) }; 3];
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let count = match File::open(&file).map_err(|e| e.raw_os_error()) {
                        Ok(_) => &opened,
                        Err(Some(e)) if e == Errno::ENFILE as i32 => &failed,
                        Err(_) => &other,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    println!("failed={failed:?} other={other:?} opened={opened:?}");
}

#[test]
#[ignore = "a program that other tests run"]
fn helper_that_waits() {
    let dir = helper_dir();
    let shortest = AtomicU64::new(u64::MAX);
    let timed = |path: &Path| {
        let start = Instant::now();
        File::open(path).unwrap();
        u64::try_from(start.elapsed().as_millis()).unwrap()
    };
    let mut other = 0;
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| shortest.fetch_min(timed(&dir.join("app/in")), Ordering::Relaxed));
        }
        thread::sleep(Duration::from_millis(50));
        other = timed(&dir.join("out"));
    });
    println!("shortest_ms={shortest:?} other_ms={other}");
}
