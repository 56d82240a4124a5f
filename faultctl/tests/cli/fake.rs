//! A daemon of canned answers behind a Unix socket, and what it was asked.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::Response,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A call as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    /// `POST /v1/faults`
    pub what: String,
    /// `faultd-ssh-connection`, if it was sent.
    pub ssh: Option<String>,
    /// The body, or null.
    pub body: Value,
}

#[derive(Debug, Default)]
struct Shared {
    /// What to answer; of several, the last one stays.
    answers: HashMap<String, Vec<(u16, String)>>,
    calls: Vec<Call>,
}

/// The daemon. Stops when dropped.
pub struct Fake {
    shared: Arc<Mutex<Shared>>,
    dir: TempDir,
    _stop: oneshot::Sender<()>,
}

/// What a run of faultctl left.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Fake {
    /// A daemon that knows nothing yet.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shared = Arc::<Mutex<Shared>>::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::bind(dir.path().join("fake.sock")).unwrap()
        };
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { shared, dir, _stop: stop }
    }

    /// Answers `METHOD /path?query` with this JSON from now on; given again,
    /// the answers follow each other.
    #[must_use]
    pub fn on(self, what: &str, status: u16, answer: &Value) -> Self {
        self.on_text(what, status, &answer.to_string())
    }

    /// The same with any text.
    #[must_use]
    pub fn on_text(self, what: &str, status: u16, answer: &str) -> Self {
        let mut shared = self.shared.lock().unwrap();
        shared.answers.entry(what.to_owned()).or_default().push((status, answer.to_owned()));
        drop(shared);
        self
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("fake.sock")
    }

    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().unwrap().calls.clone()
    }

    /// The calls without their bodies.
    pub fn asked(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.what).collect()
    }

    /// faultctl, set up to talk to this daemon.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = faultctl(args);
        command.env("FAULTD_SOCKET", self.socket());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).spawn().unwrap())
    }

    /// Runs with `--json` and reads the one document.
    pub fn json(&self, args: &[&str]) -> (Option<i32>, Value) {
        let ran = self.run(&[&["--json"], args].concat());
        assert_eq!(ran.stdout.lines().count(), 1, "not one line: {ran:?}");
        (ran.code, serde_json::from_str(&ran.stdout).unwrap())
    }
}

/// faultctl in an environment that does not depend on who runs the tests.
pub fn faultctl(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultctl"));
    command
        .args(args)
        .env_clear()
        .env("TZ", "UTC")
        .env("SSH_CONNECTION", "10.0.0.9 50000 10.0.0.1 22")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits for it to end.
pub fn ran(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let what = format!("{} {}", head.method, head.uri);
    let ssh = head.headers.get("faultd-ssh-connection");
    let call = Call {
        what: what.clone(),
        ssh: ssh.map(|value| value.to_str().unwrap().to_owned()),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let mut shared = shared.lock().unwrap();
    shared.calls.push(call);
    let (status, text) = match shared.answers.get_mut(&what) {
        Some(answers) if answers.len() > 1 => answers.remove(0),
        Some(answers) => answers[0].clone(),
        None => (404, problem("no-such-fault", 404, &format!("there is no {what}")).to_string()),
    };
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(text))
        .unwrap()
}

/// A problem document.
pub fn problem(kind: &str, status: u16, detail: &str) -> Value {
    json!({"type": format!("urn:faultd:{kind}"), "title": kind, "status": status, "detail": detail})
}

/// An active latency fault with a minute left.
pub fn active() -> Value {
    let now = Timestamp::now();
    let expires = now + SignedDuration::from_millis(60_400);
    json!({
        "id": "f-7k2m9q", "kind": "latency", "params": {"ms": 500.0, "jitter_ms": 20.0},
        "target": {"port": 8080}, "state": "active", "backend": "delay-line", "label": null,
        "seed": 1234, "owner": {"uid": 0}, "created_at": now, "expires_at": expires,
        "active_at": now, "ended_at": null, "end_reason": null,
        "active_mono_ns": 1_000_000_000_u64, "ended_mono_ns": null,
        "counters": {"matched": 1042, "affected": 1040, "overflow": 2},
        "achieved": {"ms_p50": 500.024, "ms_p99": 519.5},
        "hits": {
            "sockets": [
                {"proto": "tcp", "state": "LISTEN", "local": "0.0.0.0:8080", "remote": "0.0.0.0:0",
                 "process": {"pid": 812, "comm": "nginx", "uid": 0}},
                {"proto": "tcp", "state": "ESTAB", "local": "[::1]:8080", "remote": "[::1]:50000"}
            ],
            "socket_count": 6, "processes": [], "process_count": 0
        },
        "notes": ["once per round trip"]
    })
}

/// The same, over.
pub fn ended(reason: &str) -> Value {
    with(
        active(),
        json!({
            "state": "ended", "end_reason": reason, "ended_at": Timestamp::now(),
            "ended_mono_ns": 61_000_000_000_u64
        }),
    )
}

/// A JSON object with some of its fields replaced.
pub fn with(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("not an object: {fields}") };
    for (name, value) in fields {
        object[name] = value;
    }
    object
}

/// Clock times and dates as letters, so that a test can expect them.
pub fn masked(text: &str) -> String {
    let mut out = text.to_owned();
    for (shape, mask) in [("9999-99-99 99:99:99.999", "DATE"), ("99:99:99", "TIME")] {
        let digits: String =
            out.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        for (at, _) in digits.match_indices(shape) {
            let mask = format!("{mask:\u{1}<width$}", width = shape.len());
            out.replace_range(at..at + shape.len(), &mask);
        }
    }
    out.replace('\u{1}', "")
}
