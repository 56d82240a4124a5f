//! The program as it is called: what it refuses before the first request, what it says and where,
//! and that its exit code survives whatever becomes of its output.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::server::{Reply, Server};

fn faultload(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultload"));
    command.args(arguments).env_remove("FAULTD_SOCKET");
    command
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Whether a run without a good answer ended as it should. On a busy machine the generator may have
/// been too slow to judge, which outweighs what it measured.
fn is_unmet(code: i32) -> bool {
    matches!(code, 99 | 97)
}

/// A port that nobody listens on.
fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_full_disk_behind_standard_error_changes_no_exit_code() {
    let url = format!("http://127.0.0.1:{}/", nobody());
    let mut command = faultload(&["http", &url, "--rate", "20", "--for", "1s"]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command.stderr(full).output().unwrap();
    assert!(output.status.code().is_some_and(is_unmet), "{output:?}");
    let mut refused = faultload(&["check", "/nonexistent.yaml"]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(refused.stderr(full).status().unwrap().code(), Some(1));
}

#[test]
fn who_reads_standard_error_may_go_away() {
    let url = format!("http://127.0.0.1:{}/", nobody());
    let mut command = faultload(&["http", &url, "--rate", "20", "--for", "1s"]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().code().is_some_and(is_unmet));
}

#[test]
fn what_cannot_be_is_refused_before_the_first_request() {
    let asked = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&asked);
    let server = Server::start(move |_| {
        counting.fetch_add(1, Ordering::Relaxed);
        Reply::Answer(200, String::new())
    });
    let url = format!("http://127.0.0.1:{}/", server.port);
    let with_hole = format!("{url}{{{{id}}}}");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
    let taken = dir.path().display().to_string();
    for (url, more, expected) in [
        (&url, &["-d", "{{usre}}"][..], "there is no variable \"usre\"; did you mean `user`?"),
        (&url, &["-H", "x: {{token}}"], "-H `{{token}}`: there is no variable \"token\""),
        (&with_hole, &[], "there is no variable \"id\""),
        (&url, &["-t", "step.foo.p95 < 1s"], "there is no step \"foo\"; known are request"),
        (&url, &["-t", "phase.fault.p95 < 1s"], "there is no phase \"fault\""),
        (&url, &["-t", "longest_outage < 1s"], "is measured by the probe: say --probe"),
        (&url, &["-t", "first_event.p95 < 1s"], "no step has any"),
        (&url, &["-t", "errors.conect == 0"], "did you mean `connect`?"),
        (&url, &["-n", "100"], "there is no number of requests"),
        (&url, &["--timeout", "0s"], "must be above zero"),
        (&url, &["--in-flight", "0"], "0 is not in 1.."),
        (&url, &["--out", &taken], "is no result of faultload and not empty (it has thesis.txt)"),
    ] {
        let arguments = [&["http", url, "--rate", "10", "--for", "1s"], more].concat();
        let (code, _, error) = said(&faultload(&arguments).output().unwrap());
        assert_eq!(code, 2, "{more:?}: {error}");
        assert!(error.contains(expected), "{more:?}: {error}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(fs::read_to_string(dir.path().join("thesis.txt")).unwrap(), "mine");
}

#[test]
fn words_of_other_tools_are_understood() {
    let server = Server::start(|_| Reply::Answer(200, String::new()));
    let url = format!("http://127.0.0.1:{}/", server.port);
    let arguments = ["http", &url, "--connections", "2", "--duration", "1s", "--quiet"];
    assert_ne!(said(&faultload(&arguments).output().unwrap()).0, 2);
}

#[test]
fn why_requests_failed_is_in_every_report() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let folder = out.display().to_string();
    let url = format!("http://127.0.0.1:{}/", nobody());
    let arguments = ["http", &url, "--rate", "20", "--for", "1s", "--quiet", "--out", &folder];
    let (code, text, error) = said(&faultload(&arguments).output().unwrap());
    assert!(is_unmet(code), "{code}: {error}");
    assert!(text.contains("✗ none of 20 requests succeeded: 20 × connect (Connection refused"));
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    for name in ["summary.json", "report.md", "report.html", "junit.xml"] {
        assert!(read(name).contains("Connection refused"), "{name}");
    }
    let summary: serde_json::Value = serde_json::from_str(&read("summary.json")).unwrap();
    let step = &summary["flows"][0]["steps"][0];
    assert!(step["error_examples"]["connect"].as_str().unwrap().starts_with("Connection refused"));
    assert_eq!(summary["thresholds"].as_array().unwrap().len(), 0, "nobody wrote one");
    // It holds a result now, which may be written anew.
    assert!(is_unmet(said(&faultload(&arguments).output().unwrap()).0));
}

#[test]
fn who_interrupts_hears_what_is_waited_for_also_when_it_is_quiet() {
    let server = Server::start(|_| Reply::Hang);
    let url = format!("http://127.0.0.1:{}/", server.port);
    let arguments =
        ["http", &url, "--users", "1", "--for", "1m", "--grace", "1s", "--quiet", "--json"];
    let mut command = faultload(&arguments);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(2500));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let (_, _, error) = said(&child.wait_with_output().unwrap());
    let expected = "ending: 1 request in flight may go on for 1s (Ctrl-C again ends at once)\n";
    assert_eq!(error, expected);
}

#[test]
fn a_set_up_that_fails_says_which_step_and_where() {
    let server = Server::start(|_| Reply::Answer(503, String::new()));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.yaml");
    let url = format!("http://127.0.0.1:{}", server.port);
    let scenario = format!(
        "name: s\ntarget: {url}\nsetup:\n  - name: login\n    http: POST /login\n\
         flows: {{ get: {{ steps: [{{ http: GET / }}] }} }}\nstages: [{{ for: 1s, rate: 5/s }}]\n"
    );
    fs::write(&file, scenario).unwrap();
    let run = |file: &Path| {
        let mut command = faultload(&["run", &file.display().to_string(), "--quiet"]);
        said(&command.current_dir(dir.path()).output().unwrap())
    };
    let (code, _, error) = run(&file);
    assert_eq!(code, 1);
    let expected =
        format!("error: the set-up failed: step `login` (POST {url}/login): status 503\n");
    assert_eq!(error, expected);
}
