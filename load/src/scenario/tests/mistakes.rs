//! Golden texts: what somebody who made a mistake reads.

use super::*;

/// The error of `SMALL` with `old` replaced by `new`, without the picture.
pub(super) fn mistake(old: &str, new: &str) -> String {
    assert!(SMALL.contains(old), "{old:?} is not in the scenario");
    let error = load_text(&SMALL.replacen(old, new, 1)).unwrap_err().to_string();
    error.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_whole_picture() {
    let text = SMALL.replace("    rate: 100/s", "    raet: 100/s");
    let expected = "\
s.yaml:9:5: unknown key `raet`; did you mean `rate`? (in stages[0])
 9 |     raet: 100/s
   |     ^";
    assert_eq!(load_text(&text).unwrap_err().to_string(), expected);
    let text = format!("{SMALL}thresholds: [p95 < 1s, 'error_ratio < 5ms']\n");
    let expected = "\
s.yaml:10:39: `error_ratio` is a share: write 1% or 0.01, got \"5ms\" (in thresholds[1])
 10 | thresholds: [p95 < 1s, 'error_ratio < 5ms']
    |                                       ^";
    assert_eq!(load_text(&text).unwrap_err().to_string(), expected);
}

#[test]
fn keys_and_values() {
    for (old, new, expected) in [
        ("name: small\n", "", "s.yaml:1:1: `name` is missing"),
        (
            "name: small",
            "name: \"\"",
            "s.yaml:1:7: a name has 1 to 100 characters, all on one line (in name)",
        ),
        ("flows:", "flow:", "s.yaml:3:1: unknown key `flow`; did you mean `flows`?"),
        (
            "for: 10s",
            "for: 10",
            "s.yaml:8:10: takes a duration such as 500ms, 60s, 5m or 1h30m, got \"10\" (in stages[0].for)",
        ),
        (
            "for: 10s",
            "for: ten",
            "s.yaml:8:10: takes a duration such as 500ms, 60s, 5m or 1h30m, got \"ten\" (in stages[0].for)",
        ),
        (
            "  - for: 10s\n    rate",
            "  - rate",
            "s.yaml:8:5: `for` is missing: say how long the stage lasts, such as `for: 30s` (in stages[0].rate)",
        ),
        (
            "100/s",
            "-5/s",
            "s.yaml:9:11: a rate cannot be negative, got \"-5/s\" (in stages[0].rate)",
        ),
        (
            "100/s",
            "100ms",
            "s.yaml:9:11: takes a rate such as 100/s or 30/m, got \"100ms\" (in stages[0].rate)",
        ),
        (
            "100/s",
            "0/s",
            "s.yaml:9:11: must be above zero; a stage that sends nothing says `pause: true` (in stages[0].rate)",
        ),
        ("100/s", "{ from: 1/s }", "s.yaml:9:11: `to` is missing (in stages[0].rate)"),
        (
            "100/s",
            "{ from: 1/s, to: 9/s, by: 1/s }",
            "s.yaml:9:11: `every` is missing (in stages[0].rate)",
        ),
        (
            "rate: 100/s",
            "users: -3",
            "s.yaml:9:12: a number of users cannot be negative, got \"-3\" (in stages[0].users)",
        ),
        (
            "rate: 100/s",
            "users: 100/s",
            "s.yaml:9:12: takes a number of users such as 50, got \"100/s\"; a rate belongs into `rate` (in stages[0].users)",
        ),
        (
            "rate: 100/s",
            "users: 5\n    rate: 5/s",
            "s.yaml:8:5: a stage has one of `rate` (flows started a second), `users` and `pause: true` (in stages[0])",
        ),
        (
            "rate: 100/s",
            "rate: 100/s\n    flow: gte",
            "s.yaml:10:11: there is no flow \"gte\"; did you mean `get`? (in stages[0].flow)",
        ),
        (
            "rate: 100/s",
            "rate: 100/s\n    mix: { get: 0 }",
            "s.yaml:10:17: a weight is above zero, got 0; leave out what is not to be run (in stages[0].mix.get)",
        ),
        (
            "rate: 100/s",
            "rate: 100/s\n    mix: { buy: 1 }",
            "s.yaml:10:12: there is no flow \"buy\"; known are get (in stages[0].mix.buy)",
        ),
        (
            "    steps:",
            "    weight: -1\n    steps:",
            "s.yaml:5:13: a weight is above zero, got -1; leave out what is not to be run (in flows.get.weight)",
        ),
        (
            "  get:\n",
            "  get: { steps: [{ pause: 1s }] }\n  get:\n",
            "s.yaml:5:3: duplicate mapping key: get",
        ),
    ] {
        assert_eq!(mistake(old, new), expected, "{new}");
    }
}

#[test]
fn steps() {
    let step = "http: GET /items";
    for (new, expected) in [
        (
            "htp: GET /items",
            "s.yaml:6:9: unknown key `htp`; did you mean `http`? (in flows.get.steps[0])",
        ),
        (
            "http: /items",
            "s.yaml:6:15: takes a method and a URL such as GET /items, got \"/items\" (in flows.get.steps[0].http)",
        ),
        (
            "http: GTE /items",
            "s.yaml:6:15: \"GTE\" is no method; did you mean `GET`? (in flows.get.steps[0].http.method)",
        ),
        (
            "http: GET htps://x/",
            "s.yaml:6:19: \"htps\" is no scheme; did you mean `https`? (in flows.get.steps[0].http.url)",
        ),
        (
            "http: GET http://x:99999/",
            "s.yaml:6:19: \"99999\" is no port: takes a number from 1 to 65535 (in flows.get.steps[0].http.url)",
        ),
        (
            "http: GET /{{token}}",
            "s.yaml:6:19: the variable \"token\" is not known here; an earlier step has to extract it (variables of `vars` are written ${…}) (in flows.get.steps[0].http.url)",
        ),
        (
            "http: GET /{{random.itn(1, 2)}}",
            "s.yaml:6:20: there is no `random.itn`; did you mean `random.int`? (in flows.get.steps[0].http.url)",
        ),
        ("http: GET /${path}", "s.yaml:6:15: there is no variable \"path\" in `vars`"),
        (
            "http: { url: /x, body: a, json: {} }",
            "s.yaml:6:41: `body` and `json` at once: a request has one body (in flows.get.steps[0].http)",
        ),
        (
            "http: { url: /x, file: nosuch.bin }",
            "s.yaml:6:32: cannot read ./nosuch.bin: No such file or directory (os error 2) (in flows.get.steps[0].http.file)",
        ),
        (
            "name: x",
            "s.yaml:6:9: a step does something: say `http`, `grpc`, `tcp`, `redis`, `postgres` or `pause` (in flows.get.steps[0])",
        ),
        (
            "pause: 3s..1s",
            "s.yaml:6:16: takes the shorter time first, got \"3s..1s\" (in flows.get.steps[0].pause)",
        ),
        (
            "http: GET /x\n        timeout: 5",
            "s.yaml:7:18: takes a duration such as 500ms, 60s, 5m or 1h30m, got \"5\" (in flows.get.steps[0].timeout)",
        ),
        (
            "http: GET /x\n        expect: 20x",
            "s.yaml:7:17: takes a status such as 200, 2xx or 200-204, got \"20x\" (in flows.get.steps[0].expect)",
        ),
        (
            "http: GET /x\n        repeat: 0",
            "s.yaml:7:17: must be above zero (in flows.get.steps[0].repeat)",
        ),
        (
            "http: GET /x\n        extract: { id: items }",
            "s.yaml:7:24: \"items\" is not a JSONPath such as $.items[0].id: ",
        ),
        (
            "http: GET /x\n        extract: { id: { jsn: $.a } }",
            "s.yaml:7:26: unknown key `jsn`; did you mean `json`? (in flows.get.steps[0].extract.id)",
        ),
        (
            "http: GET /x\n        extract: { id: { regex: '(' } }",
            "s.yaml:7:33: \"(\" is not a regular expression: unclosed group (in flows.get.steps[0].extract.id.regex)",
        ),
        (
            "http: GET /x\n        checks: [{ json: $.a, header: b }]",
            "s.yaml:7:18: `json` and `header`: a value stands in one place (in flows.get.steps[0].checks[0])",
        ),
        (
            "http: GET /x\n        checks: [{ equals: b }]",
            "s.yaml:7:18: `equals` of what? Say `json`, `header`, `cookie` or `regex` beside it (in flows.get.steps[0].checks[0])",
        ),
        (
            "name: a\n        http: GET /x\n      - name: a\n        http: GET /y",
            "s.yaml:8:15: there is a step \"a\" already (in flows.get.steps[1])",
        ),
        (
            "name: a.b\n        http: GET /x",
            "s.yaml:6:15: \"a.b\": a name that thresholds can use has no dots, <, >, = or ! (in flows.get.steps[0].name)",
        ),
    ] {
        let found = mistake(step, new);
        assert!(found.starts_with(expected), "{new}\n  found {found}\n  expected {expected}");
    }
}

#[test]
fn other_protocols() {
    for (new, expected) in [
        (
            "tcp: { address: localhost }",
            "s.yaml:6:25: takes HOST:PORT or unix:/path/to.sock, got \"localhost\" (in flows.get.steps[0].tcp.address)",
        ),
        (
            "tcp: { address: 'a:1', until: x, length: 5 }",
            "s.yaml:6:50: `until` and `length` at once: an answer has one end (in flows.get.steps[0].tcp)",
        ),
        (
            "tcp: { address: 'a:1', length_prefix: 3 }",
            "s.yaml:6:47: a length has 1, 2, 4 or 8 bytes, got 3 (in flows.get.steps[0].tcp.length_prefix)",
        ),
        (
            "tcp: { address: 'a:1', send_hex: 00 1g }",
            "s.yaml:6:42: takes bytes in hexadecimal such as 00 1f ff, got \"00 1g\" (in flows.get.steps[0].tcp.send_hex)",
        ),
        (
            "tcp: { address: 'a:1', length: 5 }\n        checks: [{ status: 200 }]",
            "s.yaml:7:28: an answer of a plain connection has no status (in flows.get.steps[0].checks[0].status)",
        ),
        (
            "redis: GET k",
            "s.yaml:6:16: no address: say `address: HOST:PORT`, or `redis: { address: HOST:PORT }` at the top (in flows.get.steps[0].redis)",
        ),
        (
            "redis: { address: 'a:1' }",
            "s.yaml:6:16: `command` is missing, such as `command: GET key` (in flows.get.steps[0].redis)",
        ),
        (
            "redis: { address: 'a:1', comand: GET k }",
            "s.yaml:6:34: unknown key `comand`; did you mean `command`? (in flows.get.steps[0].redis)",
        ),
        (
            "redis: { address: 'a:1', command: \"GET 'k\" }",
            "s.yaml:6:43: a ' is opened and not closed (in flows.get.steps[0].redis.command)",
        ),
        (
            "redis: { address: 'a:1', pipeline: [GET a, [GET, '{{b}}']] }",
            "s.yaml:6:58: the variable \"b\" is not known here; an earlier step has to extract it (variables of `vars` are written ${…}) (in flows.get.steps[0].redis.pipeline[1])",
        ),
        (
            "redis: { address: 'a:1', command: subscribe news }",
            "s.yaml:6:43: SUBSCRIBE turns the connection into a stream, which no step reads (in flows.get.steps[0].redis.command)",
        ),
        (
            "redis: { address: 'a:1', command: GET k }\n        checks: [{ header: tpye, equals: nil }]",
            "s.yaml:7:28: an answer of Redis has no header \"tpye\"; known are type (in flows.get.steps[0].checks[0].header)",
        ),
        (
            "redis: { address: 'a:1', command: GET k }\n        expect: 200",
            "s.yaml:7:17: only answers over HTTP and gRPC have a status (in flows.get.steps[0].expect)",
        ),
        (
            "postgres: SELECT 1",
            "s.yaml:6:19: no server: say `url: postgres://USER@HOST/DATABASE`, or `postgres: { url: … }` at the top (in flows.get.steps[0].postgres)",
        ),
        (
            "postgres: { url: postgres://h/d, query: SELECT 1 }",
            "s.yaml:6:26: names no user: postgres://USER@HOST/… (in flows.get.steps[0].postgres.url)",
        ),
        (
            "postgres: { url: postgres://u@h/d }",
            "s.yaml:6:19: `query` is missing, such as `query: SELECT 1` (in flows.get.steps[0].postgres)",
        ),
        (
            "postgres: { url: postgres://u@h/d, query: SELECT $1, params: ['{{x}}'] }",
            "s.yaml:6:71: the variable \"x\" is not known here; an earlier step has to extract it (variables of `vars` are written ${…}) (in flows.get.steps[0].postgres.params[0])",
        ),
        (
            "postgres: { url: postgres://u@h/d, query: SELECT 1 }\n        extract: { a: { cookie: b } }",
            "s.yaml:7:33: an answer of PostgreSQL has no cookie (in flows.get.steps[0].extract.a.cookie)",
        ),
    ] {
        assert_eq!(mistake("http: GET /items", new), expected, "{new}");
    }
}

#[test]
fn faults_phases_probe_and_thresholds() {
    for (more, expected) in [
        (
            "faults: [{ at: 1s, inject: latency --ms 5 }]",
            "s.yaml:10:10: `for` is missing (in faults[0])",
        ),
        (
            "faults: [{ at: 1, for: 1s, inject: latency --ms 5 }]",
            "s.yaml:10:16: takes a time since the start of the run, such as 0s or 30s, got \"1\" (in faults[0].at)",
        ),
        (
            "faults: [{ at: 10s, for: 1s, inject: latency --ms 5 }]",
            "s.yaml:10:16: starts at 10s, when the load is over (10s) (in faults[0].at)",
        ),
        (
            "faults: [{ at: 1s, for: 1s, inject: latnecy --ms 5 }]",
            "s.yaml:10:37: \"latnecy\" is not a fault; known are ",
        ),
        (
            "faults: [{ at: 1s, for: 1s, inject: latency --port 5 }]",
            "s.yaml:10:37: the following required arguments were not provided: --ms <MS> (in faults[0].inject)",
        ),
        (
            "faults: [{ at: 1s, for: 1s, inject: latency --ms 0 }]",
            "s.yaml:10:45: --ms must be between 0.01 and 60000, got 0 (in faults[0].inject)",
        ),
        (
            "faults: [{ at: 1s, for: 1s, kind: latencey }]",
            "s.yaml:10:35: there is no \"latencey\" here; did you mean `latency`? (in faults[0].kind)",
        ),
        (
            "faults: [{ at: 1s, for: 1s, kind: latency, params: { mss: 5 } }]",
            "s.yaml:10:54: params of latency: unknown field `mss`, expected one of ",
        ),
        (
            "faults: [{ at: 1s, for: 1s, inject: latency --jitter 5 --ms x }]",
            "s.yaml:10:56: invalid value 'x' for '--ms <MS>'",
        ),
        (
            "faults: [{ at: 1s, for: 1s, inject: latency --ms 5 --prot 5 }]",
            "s.yaml:10:52: unexpected argument '--prot' found",
        ),
        (
            "faults:\n  - at: 1s\n    for: 1s\n    kind: latency\n    params:\n      jitter_ms: 5\n      ms: 0",
            "s.yaml:16:7: `ms` must be between 0.01 and 60000, got 0 (in faults[0].params)",
        ),
        (
            "faults:\n  - at: 1s\n    for: 1s\n    kind: latency\n    params:\n      jitter_ms: 5\n      'ms': soon",
            "s.yaml:16:8: params of latency: invalid type",
        ),
        (
            "faults: [{ at: 1s, for: 1s, kind: latency, params: { jitter_ms: 5 } }]",
            "s.yaml:10:52: params of latency: missing field `ms`",
        ),
        (
            "faults: [{ at: 1s, for: 1s, kind: loss, params: { percent: 5 }, target: { pid: [0], proto: tcp } }]",
            "s.yaml:10:75: `pid` takes process ids above zero (in faults[0].target)",
        ),
        (
            "faults: [{ at: 1s, for: 1s, kind: loss, params: { percent: 5 }, target: { prot: 5 } }]",
            "s.yaml:10:75: unknown key `prot`; did you mean `proto`? (in faults[0].target)",
        ),
        (
            "faults: [{ at: 1s, for: 1s }]",
            "s.yaml:10:10: which fault? Say `inject: latency --ms 500 --port 8080`, or `kind` with `params` and `target` (in faults[0])",
        ),
        (
            "phases: [{ name: a, at: 5s }]",
            "s.yaml:10:25: the first phase begins with the run: at 0s (in phases[0].at)",
        ),
        (
            "phases: [{ name: a, at: 0s }, { name: a, at: 5s }]",
            "s.yaml:10:39: there is a phase \"a\" already (in phases[1])",
        ),
        (
            "phases: [{ name: a, at: 0s }, { name: b, at: 0s }]",
            "s.yaml:10:46: begins before the phase above it (in phases[1].at)",
        ),
        (
            "thresholds: [p59 <]",
            "s.yaml:10:19: `p59` is a time: write 500ms, 2s or 1m, got \"\" (in thresholds[0])",
        ),
        (
            "thresholds: [step.gte.p95 < 1s]",
            "s.yaml:10:14: there is no step \"gte\"; known are GET /items (in thresholds[0])",
        ),
        (
            "thresholds: [flow.gett.p95 < 1s]",
            "s.yaml:10:14: there is no flow \"gett\"; did you mean `get`? (in thresholds[0])",
        ),
        (
            "thresholds: [phase.fault.p95 < 1s]",
            "s.yaml:10:14: there is no phase \"fault\"; known are load, other (in thresholds[0])",
        ),
        (
            "thresholds: [availability > 99%]",
            "s.yaml:10:14: `availability` is measured by the probe: say `probe: { http: GET /health }` (in thresholds[0])",
        ),
        (
            "thresholds: [{ chek: p95 < 1s }]",
            "s.yaml:10:16: unknown key `chek`; did you mean `check`? (in thresholds[0])",
        ),
        (
            "thresholds: [{ check: p95 < 1s, abort: true }]",
            "s.yaml:10:23: `p95 < 1s` cannot end a run: `abort` goes with error_ratio, success_ratio, failed, errors.KIND, late, skipped and skipped_ratio, of the whole run (in thresholds[0])",
        ),
        (
            "thresholds: [{ check: requests > 60, abort: true }]",
            "s.yaml:10:23: `requests > 60` cannot end a run: `abort` goes with error_ratio, success_ratio, failed, errors.KIND, late, skipped and skipped_ratio, of the whole run (in thresholds[0])",
        ),
        (
            "thresholds: [errors.conect == 0]",
            "s.yaml:10:14: there is no kind of error \"conect\"; did you mean `connect`? (in thresholds[0])",
        ),
        (
            "thresholds: [first_event.p95 < 1s]",
            "s.yaml:10:14: `first_event.p95` is measured of streamed answers, and no step has any",
        ),
        ("limits: { workers: 0 }", "s.yaml:10:20: must be above zero (in limits.workers)"),
        (
            "limits: { body: 4 parsecs }",
            "s.yaml:10:17: takes a size such as 1500, 32KiB or 10MB, got \"4 parsecs\" (in limits.body)",
        ),
        (
            "data: { users: nosuch.csv }",
            "s.yaml:10:16: cannot read ./nosuch.csv: No such file or directory (os error 2) (in data.users)",
        ),
        ("stages: []", "s.yaml:10:1: duplicate mapping key: stages"),
        ("tags: chaos", "s.yaml:10:7: takes a sequence, got string \"chaos\" (in tags)"),
        ("seed: -1", "s.yaml:10:7: takes u64, got integer `-1` (in seed)"),
    ] {
        let error = load_text(&format!("{SMALL}{more}\n")).unwrap_err().to_string();
        let found = error.lines().next().unwrap_or_default();
        assert!(found.starts_with(expected), "{more}\n  found {found}\n  expected {expected}");
    }
}

#[test]
fn the_file_itself() {
    let error = |path: &str| load(Path::new(path), &Options::default()).unwrap_err().to_string();
    assert_eq!(
        error("/nonexistent.yaml"),
        "cannot read /nonexistent.yaml: No such file or directory (os error 2)"
    );
    assert_eq!(
        error("/nonexistent.txt"),
        "/nonexistent.txt: a scenario is a .yaml, .yml, .toml or .json file"
    );
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = Options { scale, ..Options::default() };
        let error = from_yaml("s", SMALL, Path::new("."), &options).unwrap_err().to_string();
        assert!(error.starts_with("--scale takes a factor above 0"), "{error}");
    }
}
