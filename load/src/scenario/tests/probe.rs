//! The availability probe: what is understood, and what somebody who made a mistake reads.

use super::*;
use crate::plan::{AnswerEnd, HttpVersion, ProbePlan, Request};

fn with_probe(probe: &str) -> String {
    format!("{SMALL}probe: {probe}\n")
}

fn probe(written: &str) -> ProbePlan {
    loaded(&with_probe(written)).plan.probe.unwrap()
}

/// The line of `faultload check`.
fn in_words(written: &str) -> String {
    let text = timeline_text(&loaded(&with_probe(written)));
    let line = text.lines().find_map(|line| line.strip_prefix("probe     "));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn what_a_step_can_ask_a_probe_can() {
    let default = probe("{ http: GET /health }");
    assert_eq!(default.every, Duration::from_millis(20));
    assert_eq!(default.step.timeout, Duration::from_secs(1));
    assert_eq!(default.waiting(), 100);

    let http = probe("{ http: { url: /health, version: '2' }, expect: 204, every: 50ms }");
    let Request::Http(request) = &http.step.request else { panic!("{http:?}") };
    assert_eq!((request.version, &request.expect), (HttpVersion::Http2, &vec![204..=204]));
    assert_eq!(http.every, Duration::from_millis(50));

    let redis = probe(
        "{ redis: { address: 'a:1', command: [GET, ready] }, timeout: 300ms, checks: [{ body_equals: 'yes' }] }",
    );
    assert!(matches!(&redis.step.request, Request::Redis(redis) if redis.commands.len() == 1));
    assert_eq!(redis.step.timeout, Duration::from_millis(300));
    assert_eq!(redis.step.checks.len(), 1);

    let tcp = probe("{ tcp: { address: 'a:1', send: \"PING\\n\", until: \"\\n\" } }");
    let Request::Tcp(tcp) = &tcp.step.request else { panic!("{tcp:?}") };
    assert!(matches!(&tcp.end, AnswerEnd::Text(end) if end == b"\n"));

    let postgres = "{ postgres: { url: postgres://u@h/d, query: SELECT 1 } }";
    assert!(matches!(probe(postgres).step.request, Request::Postgres(_)));
    let grpc = "{ grpc: { method: a.v1.S/M, address: 'a:1', reflection: true }, expect: [OK, 5] }";
    assert!(matches!(probe(grpc).step.request, Request::Grpc(_)));
}

#[test]
fn defaults_of_the_protocol_hold_for_the_probe_too_but_for_the_time() {
    let text = format!(
        "{}redis: {{ address: 'unix:/run/redis.sock', timeout: 7s }}\n",
        with_probe("{ redis: PING }")
    );
    let scenario = loaded(&text);
    assert!(scenario.info.targets.contains(&"unix:/run/redis.sock".to_owned()));
    let probe = scenario.plan.probe.unwrap();
    assert_eq!(probe.step.timeout, Duration::from_secs(1), "an outage is seen in time");
}

#[test]
fn the_probe_in_words() {
    let rest = "on a new connection and on a kept one";
    for (written, expected) in [
        ("{ http: GET /health }", "GET /health every 20ms, "),
        ("{ http: { url: /, version: '2' }, every: 1s }", "GET / over HTTP/2 every 1s, "),
        ("{ redis: { address: 'a:1', command: PING } }", "redis PING every 20ms, "),
        (
            "{ postgres: { url: postgres://u@h/d, query: SELECT 1 } }",
            "postgres SELECT 1 every 20ms, ",
        ),
        ("{ tcp: { address: 'a:1' } }", "tcp a:1 every 20ms, "),
        (
            "{ grpc: { method: a.v1.S/M, address: 'a:1', reflection: true } }",
            "grpc S/M every 20ms, ",
        ),
    ] {
        assert_eq!(in_words(written), format!("{expected}{rest}"));
    }
    let checked = "{ http: GET /, checks: [{ body_contains: up }, { latency_below: 100ms }] }";
    let checks = "body contains \"up\", latency below 100ms";
    assert_eq!(in_words(checked), format!("GET / every 20ms, {rest}, {checks}"));
}

#[test]
fn what_the_set_up_extracts_a_probe_knows() {
    let text = format!(
        "{}setup:\n  - {{ http: POST /login, extract: {{ token: $.token }} }}\n",
        with_probe("{ http: { url: /, headers: { authorization: '{{token}}' } } }")
    );
    loaded(&text);
    loaded(&with_probe("{ http: 'GET /{{random.hex(8)}}?{{counter.probe}}&{{now.ms}}' }"));
}

#[test]
fn mistakes() {
    for (written, expected) in [
        (
            "{ every: 1s }",
            "s.yaml:10:8: a probe asks something: say `http`, `grpc`, `tcp`, `redis` or `postgres`, such as `http: GET /` (in probe)",
        ),
        (
            "{ http: GET /, redis: PING }",
            "s.yaml:10:8: a probe asks one thing: `http`, `grpc`, `tcp`, `redis` or `postgres` (in probe)",
        ),
        ("{ htpp: GET / }", "s.yaml:10:10: unknown key `htpp`; did you mean `http`? (in probe)"),
        (
            "{ http: GET /, every: 10us }",
            "s.yaml:10:30: a probe is sent at most every 1ms (in probe.every)",
        ),
        (
            "{ redis: PING }",
            "s.yaml:10:17: no address: say `address: HOST:PORT`, or `redis: { address: HOST:PORT }` at the top (in probe.redis)",
        ),
        (
            "{ redis: { address: 'a:1', command: PING }, expect: 200 }",
            "s.yaml:10:60: only answers over HTTP and gRPC have a status (in probe.expect)",
        ),
        (
            "{ redis: { address: 'a:1', command: PING }, checks: [{ header: tpye, equals: nil }] }",
            "s.yaml:10:71: an answer of Redis has no header \"tpye\"; known are type (in probe.checks[0].header)",
        ),
        (
            "{ tcp: { address: 'a:1', until: x, fresh: true } }",
            "s.yaml:10:15: a probe asks on a new connection and on a kept one: leave `fresh` out (in probe.tcp)",
        ),
        (
            "{ grpc: { method: a.v1.S/M, address: 'a:1' } }",
            "s.yaml:10:26: nothing says what the method looks like: `proto: FILE`, or `reflection: true` to ask the server (in probe.grpc.method)",
        ),
        (
            "{ postgres: { url: postgres://u@h/d, query: 'SELECT {{id}}' } }",
            "s.yaml:10:52: the variable \"id\" is not known here; a probe knows what `setup` extracts, and nothing that a flow does (in probe.postgres.query)",
        ),
        (
            "{ http: 'GET /{{user}}' }",
            "s.yaml:10:21: a probe is no user's, so \"user\" has no value in it: write one, or draw it ({{random.…}}, {{counter.…}}) (in probe.http.url)",
        ),
        (
            "{ http: GET /, checks: [{ body_equals: '{{iteration}}' }] }",
            "s.yaml:10:47: a probe is no user's, so \"iteration\" has no value in it: write one, or draw it ({{random.…}}, {{counter.…}}) (in probe.checks[0].body_equals)",
        ),
    ] {
        let error = load_text(&with_probe(written)).unwrap_err().to_string();
        assert_eq!(error.lines().next().unwrap_or_default(), expected, "{written}");
    }
}

#[test]
fn rows_of_data_sets_are_for_users() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("users.csv"), "email\na@b.c\n").unwrap();
    let text = with_probe("{ http: 'GET /{{users.email}}' }");
    let text = format!("{text}data: {{ users: users.csv }}\n");
    let error = from_yaml("s.yaml", &text, dir.path(), &Options::default()).unwrap_err();
    let expected = "s.yaml:10:21: a probe is no user's, so \"email\" has no value in it";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn what_flows_and_tear_down_extract_no_probe_knows() {
    let step = "{ http: POST /login, extract: { token: $.token } }";
    let text = with_probe("{ http: 'GET /{{token}}' }");
    let of_flow = text.replace("- http: GET /items", &format!("- {step}"));
    for text in [of_flow, format!("{text}teardown: [{step}]\n")] {
        let error = load_text(&text).unwrap_err().to_string();
        let expected = "s.yaml:10:21: the variable \"token\" is not known here; a probe knows";
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn the_schema_knows_what_a_probe_asks() {
    let schema = schema();
    let properties = schema["$defs"]["ProbeFile"]["properties"].as_object().unwrap();
    for key in ["http", "grpc", "tcp", "redis", "postgres", "every", "timeout", "expect", "checks"]
    {
        assert!(properties.contains_key(key), "{key}");
    }
}
