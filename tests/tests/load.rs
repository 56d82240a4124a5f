//! faultload and a daemon: faults in the middle of a load, what the run says of them, and that
//! nothing is left of them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use faultd_tests::{Outcome, Store, World, ctl::binary, eventually, process::signal, slow, store};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// What the store's process runs.
#[test]
#[ignore = "a program that other tests start"]
fn helper_store() {
    store::serve();
}

struct Bench {
    world: World,
    store: Store,
    dir: TempDir,
}

impl Bench {
    fn new(durable: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new();
        let store = Store::start("helper_store", dir.path(), durable);
        world.forget_snapshot();
        Self { world, store, dir }
    }

    /// Seconds of a run's course, more on a slow machine.
    fn seconds(count: f64) -> String {
        format!("{:.1}s", count * slow().clamp(1.0, 5.0))
    }

    /// `faultload run` of twenty orders a second, each of which is read back, and of `more`.
    fn command(&self, seconds: f64, more: &str) -> Command {
        let (port, length) = (self.store.port(), Self::seconds(seconds));
        let text = format!(
            "name: orders
target: http://127.0.0.1:{port}
flows:
  buy:
    steps:
      - name: order
        set: {{ id: \"w{{{{counter.order}}}}\" }}
        http: {{ method: PUT, url: \"/orders/{{{{id}}}}\", body: x }}
        ledger: \"{{{{id}}}}\"
stages:
  - {{ for: {length}, rate: 20/s }}
ledger:
  read: [{{ http: \"GET /orders/{{{{key}}}}\" }}]
  count: $.count
probe: {{ http: GET /, timeout: 1s }}
{more}"
        );
        let file = self.dir.path().join("scenario.yaml");
        fs::write(&file, text).unwrap();
        let mut command = Command::new(binary("FAULTLOAD_BIN", "faultload"));
        command.arg("run").arg(&file).arg("--out").arg(self.out());
        command.env("FAULTD_SOCKET", self.world.socket()).env("NO_COLOR", "1");
        command
    }

    fn out(&self) -> std::path::PathBuf {
        self.dir.path().join("out")
    }

    fn start(&self, seconds: f64, more: &str) -> Child {
        let mut command = self.command(seconds, more);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn summary(&self) -> Value {
        read(&self.out().join("summary.json"))
    }

    fn wait_for_a_fault(&self) {
        eventually(Duration::from_secs(20), "the fault is in force", || self.active() == 1);
    }

    fn active(&self) -> u64 {
        self.world.get("/v1/health")["active"].as_u64().unwrap()
    }
}

fn read(file: &Path) -> Value {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap()
}

fn phase<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let phases = summary["phases"].as_array().unwrap();
    let found = phases.iter().find(|phase| phase["name"] == name);
    found.unwrap_or_else(|| panic!("no phase {name}: {phases:?}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_fault_in_a_load_is_seen_in_its_phase_alone() {
    let bench = Bench::new(true);
    let port = bench.store.port();
    let (at, length) = (Bench::seconds(2.0), Bench::seconds(2.0));
    let faults = format!(
        "faults:\n  - {{ at: {at}, for: {length}, label: slow, inject: latency --ms 150 --port {port} }}\n"
    );
    let outcome = Outcome::of(&mut bench.command(6.0, &faults));
    assert!(matches!(outcome.code, Some(0 | 97)), "{outcome:?}");
    let summary = bench.summary();

    // While it ran.
    let lines: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains(" s left")).collect();
    let with_fault = lines.iter().filter(|line| line.contains("fault slow")).count();
    assert!(with_fault > 0 && with_fault < lines.len(), "{}", outcome.stderr);

    // Each packet of a request and of its answer is late, the handshake of a new connection too.
    let p50 = |name: &str| number(&phase(&summary, name)["total"]["latency"]["p50_ms"]);
    let (before, during, after) = (p50("baseline"), p50("fault"), p50("recovery"));
    assert!(before < 100.0 && after < 100.0, "{before} {during} {after}");
    assert!((150.0..150.0 + 450.0 * slow()).contains(&during), "{before} {during} {after}");

    // The daemon tells the same of it.
    let fault = &summary["faults"][0];
    assert_eq!((&fault["kind"], &fault["label"]), (&"latency".into(), &"slow".into()), "{fault}");
    let shown = bench.world.show(fault["id"].as_str().unwrap());
    assert_eq!(shown["state"], "ended", "{shown}");
    assert_eq!(shown["counters"]["affected"], fault["counters"]["affected"], "{shown}\n{fault}");
    assert!(number(&fault["counters"]["affected"]) > 20.0, "{fault}");

    // Every order is in the store's log once.
    let mut keys: Vec<String> = bench.store.log().into_iter().map(|(_, key)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    let ledger = &summary["ledger"];
    assert_eq!(number(&ledger["acknowledged"]) as usize, keys.len(), "{ledger}");
    assert_eq!(number(&summary["total"]["ok"]) as usize, keys.len(), "{}", summary["total"]);
    assert_eq!((&ledger["lost"], &ledger["duplicated"]), (&0.into(), &0.into()), "{ledger}");
    bench.world.assert_clean();
}

/// A run in which the store is killed and comes back; its summary, the lines of the store's log
/// that its first process wrote, and the run's exit code.
fn killed(durable: bool) -> (Value, usize, Option<i32>) {
    let bench = Bench::new(durable);
    let (at, tag) = (Bench::seconds(2.0), bench.store.tag());
    let faults = format!("faults:\n  - {{ at: {at}, for: 2s, inject: kill --cmdline {tag} }}\n");
    let outcome = Outcome::of(&mut bench.command(5.0, &faults));
    let summary = bench.summary();
    let log = bench.store.log();
    let first = log[0].0;
    let by_first = log.iter().filter(|(pid, _)| *pid == first).count();
    assert!(by_first < log.len(), "it was not killed: {}", summary["faults"]);
    let probes = &summary["probes"][0];
    for stream in ["fresh", "pooled"] {
        let outages = probes[stream]["outages"].as_array().unwrap();
        assert_eq!(outages.len(), 1, "{stream}: {probes}");
    }
    bench.world.assert_clean();
    (summary, by_first, outcome.code)
}

#[test]
fn a_kill_loses_what_was_only_in_memory_and_the_ledger_says_so() {
    let (summary, by_first, code) = killed(false);
    let ledger = &summary["ledger"];
    let lost = number(&ledger["lost"]) as usize;
    // What was on its way back when it died is unknown to the client.
    assert!(lost <= by_first && lost + 5 >= by_first, "{by_first} were there: {ledger}");
    assert_eq!((&ledger["unread"], &ledger["duplicated"]), (&0.into(), &0.into()), "{ledger}");
    assert!(matches!(code, Some(97 | 99)), "{code:?}");
}

#[test]
fn a_kill_loses_nothing_of_what_was_written_down() {
    let (summary, by_first, code) = killed(true);
    let ledger = &summary["ledger"];
    assert_eq!((&ledger["lost"], &ledger["unread"]), (&0.into(), &0.into()), "{ledger}");
    assert!(number(&ledger["found"]) as usize >= by_first, "{by_first} were there: {ledger}");
    assert!(matches!(code, Some(0 | 97)), "{code:?}");
}

#[test]
fn a_fault_ends_with_the_faultload_that_was_killed() {
    let bench = Bench::new(true);
    let faults = format!(
        "faults:\n  - {{ at: 0.5s, for: 30s, lease: 2s, inject: latency --ms 100 --port {} }}\n",
        bench.store.port()
    );
    let mut run = bench.start(60.0, &faults);
    bench.wait_for_a_fault();
    let killed = Instant::now();
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(bench.active(), 1, "it lives on for its lease");
    bench.world.wait_idle(Duration::from_secs(5));
    assert!(killed.elapsed() >= Duration::from_secs(1), "the lease was just renewed");
    bench.world.assert_clean();
}

#[test]
fn an_interrupt_takes_the_fault_back_and_leaves_a_report() {
    let bench = Bench::new(true);
    let faults = format!(
        "faults:\n  - {{ at: 0.5s, for: 30s, inject: latency --ms 100 --port {} }}\n",
        bench.store.port()
    );
    let mut run = bench.start(60.0, &faults);
    bench.wait_for_a_fault();
    signal(run.id(), Signal::SIGINT);
    let status = run.wait().unwrap();
    assert_eq!(status.code(), Some(1), "it was not run to its end");
    assert_eq!(bench.active(), 0, "it was taken back before the end");
    let fault = &bench.summary()["faults"][0];
    assert_eq!(fault["end_reason"], "reverted", "{fault}");
    assert!(number(&fault["end_s"]) < 30.0, "{fault}");
    bench.world.assert_clean();
}

#[test]
fn without_a_daemon_or_its_consent_nothing_is_sent() {
    let bench = Bench::new(true);
    let refused = "faults:\n  - { at: 0s, for: 2s, inject: kill --pid 1 }\n";
    let outcome = Outcome::of(&mut bench.command(2.0, refused));
    assert!(!matches!(outcome.code, Some(0 | 97..=99)), "{outcome:?}");
    assert!(outcome.stderr.contains("kill --pid 1"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("running"), "it was asked: {}", outcome.stderr);
    let absent = "faults:\n  - { at: 0s, for: 2s, inject: latency --ms 5 --port 9 }\n";
    let mut command = bench.command(2.0, absent);
    let outcome = Outcome::of(command.env("FAULTD_SOCKET", "/nowhere/faultd.sock"));
    assert!(!matches!(outcome.code, Some(0 | 97..=99)), "{outcome:?}");
    assert!(outcome.stderr.contains("/nowhere/faultd.sock"), "{}", outcome.stderr);
    assert!(bench.store.log().is_empty(), "{:?}", bench.store.log());
}
