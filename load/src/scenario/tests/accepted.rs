//! What is understood, and as what.

use super::*;
use crate::plan::{Arrival, Body, Request, Scheme, Stage, Think};

const FULL: &str = r#"
name: checkout under latency
description: Half of the users buy.
tags: [chaos]
vars:
  rate: 200
  host: http://127.0.0.1:8080
  path: /items
target: ${host}/api
http:
  headers: { x-client: faultload }
  timeout: 5s
setup:
  - name: prepare
    http: POST /reset
    extract: { run: $.run }
flows:
  browse:
    weight: 7
    think: 1s..3s
    steps:
      - http: GET ${path}?page={{random.int(1, 9)}}
        repeat: 3
        checks:
          - status: 2xx
          - body_contains: items
  buy:
    weight: 3
    steps:
      - name: login
        http:
          url: /login
          json: { user: "u{{user}}", pin: "{{random.int(1, 9) | raw}}", run: "{{run}}" }
        extract:
          token: $.token
          session: { cookie: session, default: none }
        checks:
          - json: $.user
            equals: u{{user}}
      - name: order
        http:
          method: PUT
          url: https://[::1]:8443/orders
          headers: { authorization: "Bearer {{token}}" }
          form: { a b: "{{session}}&", c: d }
          insecure: true
        expect: [201, 2xx]
        retry: { attempts: 2, pause: 100ms }
        may_fail: true
      - pause: 500ms
teardown:
  - http: POST /done/{{run}}
stages:
  - { name: warm, for: 10s, rate: "${rate}/s" }
  - { for: 10s, users: { from: 0, to: 50 }, flow: buy }
  - rate: { from: 100/s, to: 250/s, by: 100/s, every: 10s }
    mix: { browse: 1, buy: 3 }
  - rate: { base: 50/s, peak: 500/s, before: 5s, rise: 1s, hold: 10s, fall: 1s }
  - { pause: true, for: 13s }
faults:
  - { at: 20s, for: 10s, inject: latency --ms 500 --port 8080, label: slow }
  - at: 50s
    for: 10s
    kind: loss
    params: { percent: 30 }
    target: { port: 8080, proto: tcp }
probe: { http: GET /health, every: 50ms }
thresholds:
  - p95 < 500ms
  - phase.fault-1.step.login.p95 < 2s
  - phase.recovery.error_ratio < 1%
  - { check: error_ratio < 50%, abort: true, after: 20s }
limits: { in_flight: 500, body: 1MiB }
seed: 7
"#;

fn arrivals(stages: &[Stage]) -> Vec<(u64, Arrival)> {
    stages.iter().map(|s| (s.duration.as_secs(), s.arrival)).collect()
}

#[test]
fn a_full_scenario_becomes_a_plan() {
    let scenario = loaded(FULL);
    let plan = &scenario.plan;
    let rate = |from, to| Arrival::Rate { from, to };
    assert_eq!(
        arrivals(&plan.stages),
        [
            (10, rate(200.0, 200.0)),
            (10, Arrival::Users { from: 0, to: 50 }),
            (10, rate(100.0, 100.0)),
            (10, rate(200.0, 200.0)),
            (10, rate(250.0, 250.0)),
            (5, rate(50.0, 50.0)),
            (1, rate(50.0, 500.0)),
            (10, rate(500.0, 500.0)),
            (1, rate(500.0, 50.0)),
            (13, Arrival::Pause),
        ]
    );
    assert_eq!(plan.stages[0].mix, [(0, 7.0), (1, 3.0)]);
    assert_eq!(plan.stages[1].mix, [(1, 1.0)]);
    assert_eq!((plan.stages[2].name.as_str(), &plan.stages[2].mix[1]), ("stage-3/1", &(1, 3.0)));
    assert_eq!((plan.seed, plan.limits.in_flight, plan.limits.body), (7, 500, 1 << 20));
    assert_eq!(plan.probe.as_ref().unwrap().every, Duration::from_millis(50));
    assert_eq!(scenario.info.targets, ["http://127.0.0.1:8080", "https://::1:8443"]);

    let browse = &plan.flows[0];
    let seconds = Duration::from_secs;
    assert_eq!(browse.steps.len(), 1);
    assert_eq!(browse.think, Some(Think { min: seconds(1), max: seconds(3) }));
    assert_eq!((browse.steps[0].repeat, browse.steps[0].timeout), (3, Duration::from_secs(5)));
    let Request::Http(get) = &browse.steps[0].request else { panic!("{browse:?}") };
    assert_eq!((get.method.as_str(), get.target.port), ("GET", 8080));
    assert_eq!(browse.steps[0].name, "GET /api/items");
    assert_eq!(browse.steps[0].checks[1].name, "body contains \"items\"");

    let Request::Http(login) = &plan.flows[1].steps[0].request else { panic!() };
    let mut vars = crate::template::Vars::new(4, 0);
    vars.set(&"run".into(), b"r\"1");
    let Body::Template(body) = &login.body else { panic!("{login:?}") };
    let body = body.render_text(&mut vars).unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["user"], &body["run"]), (&"u4".into(), &"r\"1".into()));
    assert!(body["pin"].is_u64(), "{body}");
    assert_eq!(login.method, "POST", "because it has a body");
    let headers: Vec<&str> = login.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(headers, ["x-client", "content-type"]);

    let order = &plan.flows[1].steps[1];
    let Request::Http(put) = &order.request else { panic!() };
    assert_eq!(
        (put.scheme, put.target.host.as_str(), put.method.as_str()),
        (Scheme::HttpsInsecure, "::1", "PUT")
    );
    assert_eq!(put.expect, [201..=201, 200..=299]);
    assert_eq!(
        (order.retry.attempts, order.retry.pause, order.may_fail),
        (2, Duration::from_millis(100), true)
    );
    vars.set(&"session".into(), b"a b");
    let Body::Template(form) = &put.body else { panic!() };
    assert_eq!(form.render_text(&mut vars).unwrap(), "a+b=a%20b%26&c=d");
}

#[test]
fn faults_phases_and_thresholds() {
    let scenario = loaded(FULL);
    let texts: Vec<&str> = scenario.faults.iter().map(|f| f.text.as_str()).collect();
    assert_eq!(
        texts,
        ["latency --ms 500 --port 8080", "loss --percent 30 --proto tcp --port 8080"]
    );
    assert_eq!(scenario.faults[0].request.lease, Some(Duration::from_secs(5).into()));
    assert_ne!(scenario.faults[0].request.seed, scenario.faults[1].request.seed);
    let phases: Vec<(&str, u64, u64)> = scenario
        .phases
        .iter()
        .map(|p| (p.name.as_str(), p.start.as_secs(), p.end.as_secs()))
        .collect();
    assert_eq!(
        phases,
        [
            ("baseline", 0, 20),
            ("fault-1", 20, 30),
            ("recovery-1", 30, 50),
            ("fault-2", 50, 60),
            ("recovery-2", 60, 80),
        ]
    );
    let abort: Vec<_> =
        scenario.thresholds.iter().map(|t| t.abort_after.map(|a| a.as_secs())).collect();
    assert_eq!(abort, [None, None, None, Some(20)]);
}

#[test]
fn scale_changes_the_course_of_the_run_and_nothing_else() {
    let options = Options { scale: 0.1, ..Options::default() };
    let scenario = from_yaml("s.yaml", FULL, Path::new("."), &options).unwrap();
    assert_eq!(scenario.plan.duration(), Duration::from_secs(8));
    assert_eq!(scenario.faults[0].start, Duration::from_secs(2));
    assert_eq!(scenario.faults[0].request.duration.get(), Duration::from_secs(1));
    assert_eq!(scenario.plan.flows[0].steps[0].timeout, Duration::from_secs(5));
}

#[test]
fn variables_come_from_the_command_line_too() {
    let vars = [("rate".to_owned(), "50".to_owned())].into();
    let options = Options { vars, ..Options::default() };
    let scenario = from_yaml("s.yaml", FULL, Path::new("."), &options).unwrap();
    assert_eq!(scenario.plan.stages[0].arrival, Arrival::rate(50.0));
    assert_eq!(scenario.info.vars, [("rate".to_owned(), "50".to_owned())].into());
    let wrong = |name: &str| {
        let vars = [(name.to_owned(), "1".to_owned())].into();
        from_yaml("s.yaml", FULL, Path::new("."), &Options { vars, ..Options::default() })
            .unwrap_err()
            .to_string()
    };
    assert_eq!(wrong("rat"), "--var rat: no such variable; did you mean `rate`?");
    assert_eq!(unsecret("db_password", "x".into()), "(hidden)");
}

#[test]
fn toml_and_json_say_the_same() {
    let toml = r#"
name = "small"
target = "http://127.0.0.1:8080"
[[flows.get.steps]]
http = "GET /items"
[[stages]]
for = "10s"
rate = 100
"#;
    let json = r#"{
	"name": "small", "target": "http://127.0.0.1:8080",
	"flows": {"get": {"steps": [{"http": "GET /items"}]}},
	"stages": [{"for": "10s", "rate": "100/s"}]
}"#;
    for (text, format) in [(SMALL, Format::Yaml), (toml, Format::Toml), (json, Format::Json)] {
        let scenario = from_text("s", text, format, Path::new("."), &Options::default()).unwrap();
        assert_eq!(arrivals(&scenario.plan.stages), [(10, Arrival::rate(100.0))], "{format:?}");
        assert_eq!(scenario.plan.flows[0].steps[0].name, "GET /items");
        assert_eq!(scenario.phases[0].name, "load");
    }
}

#[test]
fn the_timeline_shows_what_happens_when() {
    let text = timeline_text(&loaded(FULL));
    for line in [
        "checkout under latency, 1m 20s in all",
        "        0s – 10s      warm         200/s                    browse 70%, buy 30%",
        "       10s – 20s      stage-2      0 → 50 users             buy",
        "       20s – 30s      latency --ms 500 --port 8080  (slow)",
        "       50s – 1m       fault-2 (fault)",
        "  browse: GET /api/items ×3 → [think 1s..3s]",
        "probe     GET /api/health every 50ms",
        "  error_ratio < 50%  (ends the run when broken after 20s)",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
}

#[test]
fn tags_choose() {
    let scenario = loaded(FULL);
    let tags = |tag: &str| vec![tag.to_owned()];
    assert!(scenario.is_selected(&[], &[]) && scenario.is_selected(&tags("chaos"), &[]));
    assert!(
        !scenario.is_selected(&tags("slow"), &[]) && !scenario.is_selected(&[], &tags("chaos"))
    );
}

#[test]
fn the_schema_knows_every_key() {
    let schema = schema();
    let properties = schema["properties"].as_object().unwrap();
    for key in ["name", "flows", "stages", "faults", "thresholds", "probe", "vars"] {
        assert!(properties[key].is_object(), "{key}");
    }
    assert_eq!(schema["additionalProperties"], false);
    let required: Vec<_> =
        schema["required"].as_array().unwrap().iter().filter_map(|v| v.as_str()).collect();
    assert_eq!(required, ["name", "flows", "stages"]);
    assert!(summary_schema()["properties"]["timeline"].is_object());
}
