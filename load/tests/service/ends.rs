//! How runs begin and end, and what then counts for how much.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread::sleep,
    time::Duration,
};

use faultload::{
    engine::{EngineError, Run},
    template::Shared,
};

use crate::{
    result, scenario,
    server::{Reply, Server},
};

fn good() -> Reply {
    Reply::Answer(200, String::new())
}

#[test]
fn waiting_for_a_last_answer_does_not_lower_the_rate() {
    let server = Server::start(|asked| {
        if asked.path == "/slow" {
            sleep(Duration::from_millis(1500));
        }
        good()
    });
    let text = "
flows:
  get: { steps: [{ http: GET / }] }
  slow: { steps: [{ http: GET /slow }] }
stages:
  - { for: 1s, rate: 40/s, flow: get }
  - { for: 100ms, rate: 10/s, flow: slow }
";
    let summary = result(server.port, text);
    let total = &summary.total;
    assert_eq!((total.ok, total.unfinished), (41, 0), "{total:?}");
    assert!((total.duration_s - 1.1).abs() < 0.01 && summary.duration_s >= 2.5, "{summary:?}");
    assert!((total.rate - 41.0 / 1.1).abs() < 0.5, "{total:?}");
    assert!((summary.phases[0].total.rate - total.rate).abs() < 0.01);
}

#[test]
fn pauses_are_no_requests_and_cut_runs_are_counted() {
    let server = Server::start(|_| good());
    let text = "
flows:
  walk:
    steps:
      - pause: 10ms
      - http: GET /a
      - pause: 600ms
      - http: GET /b
stages: [{ for: 1s, rate: 20/s }]
";
    let summary = result(server.port, text);
    let (total, flow) = (&summary.total, &summary.flows[0]);
    let rows: u64 = summary.timeline.iter().map(|row| row.due).sum();
    assert_eq!((rows, total.skipped), (total.sent, 0), "{:?}", summary.timeline);
    assert_eq!(flow.completed + flow.unfinished, 20, "{flow:?}");
    assert_eq!(flow.aborted, 0);
    // Those that come in the last 0.6 s have no time for their second step.
    assert!((6..=18).contains(&flow.unfinished), "{flow:?}");
}

#[test]
fn a_dead_service_does_not_pass_however_fast_it_refuses() {
    let port = Server::start(|_| good()).port;
    let text = "
flows: { get: { steps: [{ http: GET / }] } }
stages: [{ for: 300ms, rate: 50/s }]
thresholds: [p95 < 500ms, errors.reset == 0]
";
    let summary = result(port, text);
    assert_eq!(summary.verdict.exit_code, 99, "{:?}", summary.verdict);
    assert_eq!(summary.total.latency.count, 0, "what is refused has no latency");
    assert_eq!(summary.total.failed_latency.count, summary.total.failed);
}

#[test]
fn a_set_up_that_fails_is_torn_down() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    let server = Server::start(move |asked| {
        log.lock().unwrap().push(asked.path.clone());
        if asked.path == "/broken" { Reply::Answer(503, String::new()) } else { good() }
    });
    let scenario = scenario(
        server.port,
        "
setup: [{ http: PUT /made }, { http: PUT /broken }]
teardown: [{ http: DELETE /made }]
flows: { get: { steps: [{ http: GET / }] } }
stages: [{ for: 1s, rate: 1/s }]
",
    );
    let error = Run::new(scenario.plan, Shared::default()).unwrap_err();
    assert!(matches!(error, EngineError::Setup(_)), "{error}");
    assert_eq!(*asked.lock().unwrap(), ["/made", "/broken", "/made"]);
}

#[test]
fn a_tear_down_that_fails_is_told_by_the_exit_code() {
    let server = Server::start(|asked| match &*asked.method {
        "DELETE" => Reply::Answer(500, String::new()),
        _ => good(),
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.yaml");
    let text = format!(
        "name: x\ntarget: http://127.0.0.1:{}\nflows: {{ get: {{ steps: [{{ http: GET / }}] }} }}\n\
         teardown: [{{ http: DELETE /made }}]\nstages: [{{ for: 200ms, rate: 10/s }}]\n",
        server.port
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultload"));
    let out = dir.path().join("out");
    let run = command.arg("run").arg(&file).arg("--out").arg(&out).arg("-q").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("the tear-down failed: ") && said.contains("500"), "{said}");
    let junit = std::fs::read_to_string(out.join("junit.xml")).unwrap();
    assert!(junit.contains("the tear-down failed"), "{junit}");
}

/// What `faultload run` of `text` ends with when it is told to end once the service was asked for
/// `path`; and what the service was asked for in all.
fn told_to_end(text: &str, path: &'static str) -> (Option<i32>, String, Vec<String>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    let server = Server::start(move |asked| {
        log.lock().unwrap().push(format!("{} {}", asked.method, asked.path));
        if asked.path == path { Reply::Hang } else { good() }
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.yaml");
    let head = format!("name: x\ntarget: http://127.0.0.1:{}\n", server.port);
    std::fs::write(&file, head + text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultload"));
    command.arg("run").arg(&file).arg("--out").arg(dir.path().join("out")).arg("-q");
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !asked.lock().unwrap().iter().any(|line| line.ends_with(path)) {
        sleep(Duration::from_millis(20));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(run.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let output = run.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|s| String::from_utf8_lossy(&s).into_owned());
    let asked = asked.lock().unwrap().clone();
    (output.status.code(), said.concat(), asked)
}

const LOAD: &str = "
flows: { get: { steps: [{ http: GET / }] } }
stages: [{ for: 200ms, rate: 20/s }]
";

#[test]
fn a_signal_in_the_set_up_tears_down() {
    let text =
        format!("setup: [{{ http: PUT /slow }}]\nteardown: [{{ http: DELETE /made }}]{LOAD}");
    let (code, said, asked) = told_to_end(&text, "/slow");
    assert_eq!((code, asked), (Some(1), vec!["PUT /slow".into(), "DELETE /made".into()]), "{said}");
    assert!(said.contains("a signal ended it"), "{said}");
}

#[test]
fn a_signal_in_the_tear_down_ends_it() {
    let (code, said, _) =
        told_to_end(&format!("teardown: [{{ http: DELETE /slow }}]{LOAD}"), "/slow");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the tear-down failed: a signal ended it"), "{said}");
}

#[test]
fn a_signal_while_the_ledger_is_read_leaves_the_run_incomplete() {
    let text = "
flows:
  buy: { steps: [{ name: put, set: { id: \"w{{counter.n}}\" }, http: \"PUT /o/{{id}}\", ledger: \"{{id}}\" }] }
ledger: { read: [{ http: GET /read }] }
stages: [{ for: 200ms, rate: 20/s }]
thresholds: [lost_writes <= 100]
";
    let (code, said, _) = told_to_end(text, "/read");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a signal ended the run"), "{said}");
}
