//! Commands that only look.

use serde_json::{Value, json};

use crate::fake::{Fake, active, ended, masked, with};

fn partition() -> Value {
    with(
        active(),
        json!({
            "id": "f-aaaaaa", "kind": "partition", "params": {}, "target": {}, "backend": "tc",
            "counters": {"matched": 7, "affected": 7}, "achieved": {}
        }),
    )
}

#[test]
fn list_is_a_table() {
    let faults = json!({"faults": [active(), partition()]});
    let fake = Fake::new().on("GET /v1/faults", 200, &faults);
    let expected = "\
ID        KIND       PARAMS                TARGET       STATE   BACKEND       LEFT  MATCHED  AFFECTED
f-7k2m9q  latency    --ms 500 --jitter 20  --port 8080  active  delay-line  1m 00s     1042      1040
f-aaaaaa  partition  -                     all traffic  active  tc          1m 00s        7         7
";
    let ran = fake.run(&["list"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), expected, ""));
    assert_eq!(fake.json(&["list"]), (Some(0), faults));
}

#[test]
fn labels_are_listed_where_there_are_any() {
    let labelled = with(active(), json!({"label": "canary"}));
    let fake = Fake::new().on("GET /v1/faults", 200, &json!({"faults": [partition(), labelled]}));
    let stdout = fake.run(&["list"]).stdout;
    let ends: Vec<&str> = stdout.lines().map(|l| l.split_whitespace().last().unwrap()).collect();
    assert_eq!(ends, ["LABEL", "7", "canary"]);
}

#[test]
fn list_all_tells_how_faults_ended() {
    let faults = json!({"faults": [ended("lease_lost")]});
    let fake = Fake::new().on("GET /v1/faults?all=true", 200, &faults);
    let stdout = fake.run(&["list", "--all"]).stdout;
    let row: Vec<&str> =
        stdout.lines().nth(1).unwrap().split("  ").filter(|s| !s.is_empty()).collect();
    assert_eq!(row[4].trim(), "ended (lease lost)");
    assert_eq!(row[6].trim(), "-");
}

#[test]
fn an_empty_list_is_no_table() {
    let fake = Fake::new().on("GET /v1/faults", 200, &json!({"faults": []}));
    let ran = fake.run(&["list"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert_eq!(ran.stderr, "no fault in force\n");
    assert_eq!(fake.json(&["list"]), (Some(0), json!({"faults": []})));
}

#[test]
fn show_tells_everything() {
    let over = with(ended("expired"), json!({"label": "evil\u{1b}[31m", "lease": "30s"}));
    let fake = Fake::new().on("GET /v1/faults/f-7k2m9q", 200, &over);
    let expected = "\
f-7k2m9q: latency
  state    ended (expired)
  params   --ms 500 --jitter 20
  target   --port 8080
  hit      6 sockets: nginx[812] 0.0.0.0:8080, [::1]:8080 - [::1]:50000, … and 4 more
  backend  delay-line
  seed     1234
  owner    uid 0
  label    evil [31m
  asked    DATE
  active   DATE
  ended    DATE (after 1m 00s)
  lease    30s, unless confirmed again
  note     once per round trip

  COUNTED      N
  matched   1042
  affected  1040
  overflow     2

  MEASURED  REQUESTED  ACHIEVED
  ms_p50          500   500.024
  ms_p99        519.6     519.5
";
    let ran = fake.run(&["show", "f-7k2m9q"]);
    assert_eq!((ran.code, masked(&ran.stdout).as_str()), (Some(0), expected));
    assert_eq!(fake.json(&["show", "f-7k2m9q"]), (Some(0), over));
    assert_eq!(fake.run(&["show", "../health"]).code, Some(6));
}

#[test]
fn explain_asks_about_the_target() {
    let explained = json!({
        "target": {"port": 8080, "proto": "tcp"}, "effect": "delayed by 500 ms",
        "rules": [{"id": "f-7k2m9q", "kind": "latency", "effect": "+500 ms", "covers": "all"}]
    });
    let fake = Fake::new().on("GET /v1/explain?port=8080&proto=tcp", 200, &explained).on(
        "GET /v1/explain",
        200,
        &json!({"target": {}, "rules": [], "effect": "untouched"}),
    );
    let args = ["explain", "--proto", "tcp", "--port", "8080"];
    let expected = "\
--proto tcp --port 8080: delayed by 500 ms

ID        KIND     EFFECT   COVERS
f-7k2m9q  latency  +500 ms  all
";
    let ran = fake.run(&args);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{}", ran.stderr);
    assert_eq!(fake.json(&args), (Some(0), explained));
    assert_eq!(fake.run(&["explain"]).stdout, "all traffic: untouched\n");
}

fn capabilities(edt: &str) -> Value {
    json!({
        "kernel": "6.18.0", "features": [{"name": "tcx", "support": "yes", "detail": "attached"}],
        "kinds": [
            {"kind": "latency", "backends": [
                {"name": "edt", "support": edt, "detail": "no sch_fq: modprobe sch_fq"},
                {"name": "netem", "support": "refused", "detail": "EPERM"}
            ]},
            {"kind": "loss", "backends": [{"name": "tc", "support": "yes", "detail": ""}]}
        ]
    })
}

fn health(status: &str, problems: &Value) -> Value {
    json!({
        "status": status, "version": "0.1.0", "pid": 42, "guardian_pid": 43, "active": 1,
        "problems": problems
    })
}

#[test]
fn doctor_tells_what_works_and_why_not() {
    let fake = Fake::new().on("GET /v1/capabilities", 200, &capabilities("no")).on(
        "GET /v1/health",
        200,
        &health("ok", &json!([])),
    );
    let expected = format!(
        "\
faultd 0.1.0 at {}: ok (pid 42, guardian pid 43, 1 fault in force)
kernel 6.18.0

KIND     BACKEND  WORKS    DETAIL
latency  edt      no       no sch_fq: modprobe sch_fq
         netem    refused  EPERM
loss     tc       yes

FEATURE  THERE  DETAIL
tcx      yes    attached
",
        fake.socket().display()
    );
    let ran = fake.run(&["doctor"]);
    assert_eq!((ran.code, ran.stdout), (Some(0), expected));
    let ran = fake.run(&["doctor", "latency"]);
    assert_eq!(ran.code, Some(5));
    assert_eq!(ran.stderr, "error: no backend of latency works on this host\n");
    assert!(!ran.stdout.contains("loss"), "{}", ran.stdout);
    let (code, document) = fake.json(&["doctor", "loss"]);
    assert_eq!((code, document["reachable"].as_bool()), (Some(0), Some(true)));
    assert_eq!(document["capabilities"]["kinds"].as_array().unwrap().len(), 1);
}

#[test]
fn doctor_fails_when_something_was_left_behind() {
    let fake = Fake::new().on("GET /v1/capabilities", 200, &capabilities("yes")).on(
        "GET /v1/health",
        200,
        &health("degraded", &json!(["qdisc on eth0 not restored"])),
    );
    let ran = fake.run(&["doctor"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stderr, "error: faultd is degraded: qdisc on eth0 not restored\n");
    assert!(ran.stdout.contains("\n  qdisc on eth0 not restored\n"), "{}", ran.stdout);
}

#[test]
fn doctor_shows_what_dead_daemons_left_and_how_to_remove_it() {
    let left = json!({"left_behind": [
        {"what": "root qdisc htb fa17: on eth0", "remove": "tc qdisc delete dev eth0 root"},
        {"what": "BPF program x (held by nobody)", "remove": null}
    ]});
    let fake = Fake::new().on("GET /v1/capabilities", 200, &with(capabilities("yes"), left)).on(
        "GET /v1/health",
        200,
        &health("ok", &json!([])),
    );
    let ran = fake.run(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = "

LEFT BY A DEAD DAEMON           REMOVE IT WITH
root qdisc htb fa17: on eth0    tc qdisc delete dev eth0 root
BPF program x (held by nobody)  (goes with what holds it)
";
    assert!(ran.stdout.ends_with(expected), "{}", ran.stdout);
}

#[test]
fn version_tells_both() {
    let fake = Fake::new().on("GET /v1/health", 200, &health("ok", &json!([])));
    let client = env!("CARGO_PKG_VERSION");
    assert_eq!(fake.run(&["version"]).stdout, format!("faultctl {client}\nfaultd   0.1.0\n"));
    assert_eq!(fake.json(&["version"]), (Some(0), json!({"client": client, "daemon": "0.1.0"})));
}
