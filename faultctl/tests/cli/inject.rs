//! `inject`, as far as it returns at once.

use serde_json::{Value, json};

use crate::fake::{Fake, active, masked, problem, with};

const INJECT: [&str; 6] = ["inject", "latency", "--ms", "500", "--port", "8080"];

#[test]
fn tells_what_is_in_force_and_how_to_take_it_back() {
    let fake = Fake::new().on("POST /v1/faults", 201, &active());
    let ran = fake.run(&INJECT);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let socket = fake.socket();
    let expected = format!(
        "f-7k2m9q is active: latency --ms 500 --jitter 20 on --port 8080
  hits     6 sockets: nginx[812] 0.0.0.0:8080, [::1]:8080 - [::1]:50000, … and 4 more
  backend  delay-line
  ends     TIME (in 1m 00s)
  note     once per round trip
  revert   faultctl --socket {} revert f-7k2m9q
",
        socket.display()
    );
    assert_eq!(masked(&ran.stdout), expected);
}

/// The `hits` line of an injection whose report has these fields.
fn hits_line(fields: Value) -> Option<String> {
    let fake = Fake::new().on("POST /v1/faults", 201, &with(active(), fields));
    let ran = fake.run(&INJECT);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.lines().find_map(|line| line.strip_prefix("  hits     ")).map(str::to_owned)
}

#[test]
fn says_whom_it_hits_where_processes_are_the_target() {
    let hits = json!({
        "sockets": [{"proto": "udp", "state": "UNCONN", "local": "0.0.0.0:53", "remote": "0.0.0.0:0"}],
        "socket_count": 1, "process_count": 2,
        "processes": [{"pid": 7, "comm": "a", "uid": 0}, {"pid": 8, "comm": "b", "uid": 0}]
    });
    let line = hits_line(json!({"target": {"name": "a"}, "hits": hits}));
    assert_eq!(line.as_deref(), Some("2 processes: a[7], b[8]; 1 socket: udp 0.0.0.0:53"));
}

#[test]
fn says_when_nothing_is_hit_yet_and_nothing_where_it_cannot_tell() {
    let none = json!({"sockets": [], "socket_count": 0, "processes": [], "process_count": 0});
    let line = hits_line(json!({"hits": none}));
    assert_eq!(line.as_deref(), Some("no live socket yet"));
    assert_eq!(hits_line(json!({"hits": none, "target": {"proto": "icmp"}})), None);
    assert_eq!(hits_line(json!({"hits": null})), None);
}

#[test]
fn sends_what_was_typed() {
    let fake = Fake::new().on("POST /v1/faults", 201, &active());
    let args = [
        "inject",
        "loss",
        "--gemodel",
        "5,30",
        "--proto",
        "udp",
        "--port",
        "53,8000-8010",
        "--remote",
        "10.0.0.0/8,db.example",
        "--pid",
        "7",
        "--direction",
        "both",
        "--for",
        "1h30m",
        "--label",
        "dns trouble",
        "--seed",
        "7",
        "--backend",
        "tc",
        "--lease",
        "5s",
        "--force",
    ];
    assert_eq!(fake.run(&args).code, Some(0));
    let calls = fake.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].ssh.as_deref(), Some("10.0.0.9 50000 10.0.0.1 22"));
    let expected = json!({
        "kind": "loss", "params": {"gemodel": "5,30,100,0"},
        "target": {
            "proto": "udp", "port": "53,8000-8010", "remote": ["10.0.0.0/8", "db.example"],
            "pid": [7], "direction": "both"
        },
        "for": "1h30m", "label": "dns trouble", "seed": 7, "backend": "tc", "lease": "5s",
        "force": true
    });
    assert_eq!(calls[0].body, expected);
}

#[test]
fn sixty_seconds_unless_said_otherwise() {
    let fake = Fake::new().on("POST /v1/faults", 201, &active());
    assert_eq!(fake.run(&["inject", "partition"]).code, Some(0));
    let expected = json!({"kind": "partition", "params": {}, "target": {}, "for": "1m"});
    assert_eq!(fake.calls()[0].body, expected);
}

#[test]
fn json_is_the_fault() {
    let fault = active();
    let fake = Fake::new().on("POST /v1/faults", 201, &fault);
    assert_eq!(fake.json(&INJECT), (Some(0), fault));
}

#[test]
fn a_lease_comes_with_the_command_that_confirms_it() {
    let fake = Fake::new().on("POST /v1/faults", 201, &with(active(), json!({"lease": "30s"})));
    let ran = fake.run(&[&INJECT[..], &["--confirm-within", "30s"]].concat());
    let line = ran.stdout.lines().find(|line| line.starts_with("  confirm")).unwrap();
    assert!(line.ends_with("confirm f-7k2m9q  (within 30s, or it ends)"), "{line}");
    assert_eq!(fake.calls()[0].body["lease"], "30s");
}

fn plan() -> Value {
    json!({
        "kind": "latency", "target": {"port": 8080}, "backend": "delay-line",
        "backend_reason": "lo has no fq qdisc",
        "steps": [
            {"apply": "attach the classifier to lo", "undo": "the kernel, when faultd goes"},
            {"apply": "add one rule", "undo": "removed"}
        ],
        "hits": {
            "sockets": [
                {"proto": "tcp", "state": "LISTEN", "local": "0.0.0.0:8080", "remote": "0.0.0.0:0",
                 "process": {"pid": 812, "comm": "nginx", "uid": 0}},
                {"proto": "tcp", "state": "ESTAB", "local": "[::1]:8080", "remote": "[::1]:50000"}
            ],
            "socket_count": 5, "processes": [], "process_count": 0
        },
        "rails": ["your SSH session is spared"], "notes": ["once per round trip"]
    })
}

#[test]
fn a_dry_run_prints_the_plan() {
    let fake = Fake::new().on("POST /v1/plan", 200, &plan());
    let ran = fake.run(&[&INJECT[..], &["--dry-run"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let expected = "\
would inject latency --ms 500 on --port 8080 for 1m
  backend  delay-line: lo has no fq qdisc

Steps
  1.  attach the classifier to lo
      undo: the kernel, when faultd goes
  2.  add one rule
      undo: removed

Live sockets that would be hit: 5
  PROTO  STATE   LOCAL         REMOTE       PROCESS
  tcp    LISTEN  0.0.0.0:8080  0.0.0.0:0    nginx[812]
  tcp    ESTAB   [::1]:8080    [::1]:50000  -
  … and 3 more

Rails
  your SSH session is spared

Notes
  once per round trip

Nothing was changed.
";
    assert_eq!(ran.stdout, expected);
    assert_eq!(fake.asked(), ["POST /v1/plan"]);
}

#[test]
fn a_dry_run_lists_processes_where_they_are_the_target() {
    let hits = json!({
        "sockets": [], "socket_count": 0,
        "processes": [{"pid": 77, "comm": "redis-server", "uid": 999}], "process_count": 1
    });
    let plan = with(plan(), json!({"target": {"name": "redis-server"}, "hits": hits}));
    let fake = Fake::new().on("POST /v1/plan", 200, &plan);
    let ran =
        fake.run(&["inject", "loss", "--percent", "1", "--name", "redis-server", "--dry-run"]);
    let expected = "\
Live sockets that would be hit: 0

Processes that would be hit: 1
  PID  COMMAND       UID
   77  redis-server  999
";
    assert!(ran.stdout.contains(expected), "{}", ran.stdout);
}

#[test]
fn a_dry_run_in_json_is_the_plan() {
    let fake = Fake::new().on("POST /v1/plan", 200, &plan());
    assert_eq!(fake.json(&[&INJECT[..], &["--dry-run"]].concat()), (Some(0), plan()));
}

#[test]
fn what_the_daemon_refuses_is_one_line_and_the_right_code() {
    for (kind, status, code) in [
        ("failed", 500, 1),
        ("invalid", 422, 2),
        ("too-large", 413, 2),
        ("not-permitted", 403, 4),
        ("unsafe", 403, 4),
        ("not-supported", 501, 5),
        ("no-such-fault", 404, 6),
    ] {
        let answer = problem(kind, status, "--dev eth9: no such interface\nsecond line");
        let fake = Fake::new().on("POST /v1/faults", status, &answer);
        let ran = fake.run(&INJECT);
        assert_eq!(ran.code, Some(code), "{kind}");
        assert_eq!(ran.stderr, "error: --dev eth9: no such interface second line\n");
        assert_eq!(ran.stdout, "");
    }
}
