//! What somebody who made a mistake reads is about the file and not about the types behind it.

use super::{mistakes::mistake, *};

fn first_line(text: &str) -> String {
    let error = load_text(text).unwrap_err().to_string();
    error.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn types_are_told_in_the_words_of_the_file() {
    for (more, expected) in [
        ("tags: chaos", "s.yaml:10:7: takes a list, got the text \"chaos\" (in tags)"),
        ("seed: -1", "s.yaml:10:7: takes a whole number from 0 on, got the number -1 (in seed)"),
        (
            "seed: soon",
            "s.yaml:10:7: takes a whole number from 0 on, got the text \"soon\" (in seed)",
        ),
        ("limits: [1]", "s.yaml:10:9: takes a table of keys, got a list (in limits)"),
        ("limits:", "s.yaml:10:7: takes a table of keys, got nothing (in limits)"),
    ] {
        assert_eq!(first_line(&format!("{SMALL}{more}\n")), expected, "{more}");
    }
}

#[test]
fn an_empty_file_is_told_what_a_scenario_has() {
    for text in ["", "\n\n", "# nothing yet\n"] {
        let told = first_line(text);
        assert!(told.contains("says nothing: a scenario has at least `name`"), "{told}");
    }
}

#[test]
fn texts_that_were_cut_at_their_commas_want_quotes() {
    let query = "postgres: { url: 'postgres://u@h/d', query: SELECT item, note FROM orders }";
    let told = mistake("http: GET /items", query);
    assert!(told.contains("unknown key `note FROM orders`"), "{told}");
    assert!(told.contains("put texts that have commas in quotes"), "{told}");
    let told = mistake("    rate: 100/s", "    raet:");
    assert!(told.contains("did you mean `rate`?") && !told.contains("quotes"), "{told}");
}

#[test]
fn a_scheme_is_no_part_of_an_address() {
    let expected =
        "takes HOST:PORT or unix:/path/to.sock, without a scheme (TLS is `tls: true`), got";
    for step in [
        "redis: { address: 'redis://h:6379', command: GET k }",
        "tcp: { address: 'tcp://h:1' }",
        "grpc: { address: 'http://h:1', method: a.B/C, reflection: true }",
    ] {
        let told = mistake("http: GET /items", step);
        assert!(told.starts_with("s.yaml:6:") && told.contains(expected), "{told}");
    }
}

#[test]
fn a_command_of_redis_is_a_list_or_a_line() {
    let commands = |step: &str| {
        let text = SMALL.replace("http: GET /items", step);
        match &loaded(&format!("{text}redis: {{ address: 'a:1' }}\n")).plan.flows[0].steps[0]
            .request
        {
            crate::plan::Request::Redis(request) => (request.commands.clone(), request.pipeline),
            other => panic!("{other:?}"),
        }
    };
    let full = commands("redis: { command: [SET, k, 'a b'] }");
    assert_eq!(commands("redis: [SET, k, 'a b']"), full);
    assert_eq!(commands("redis: SET k 'a b'"), full);
    assert_eq!(full.0[0].len(), 3);
    assert_eq!(commands("redis: [SET, k, 5]").0.len(), 1, "numbers are words, too");
}

#[test]
fn a_fault_of_all_traffic_is_warned_of() {
    let told = |inject: &str| {
        let more = format!("faults: [{{ at: 1s, for: 2s, inject: {inject} }}]\n");
        timeline_text(&loaded(&format!("{SMALL}{more}")))
    };
    assert!(told("latency --ms 5").contains("warning: it names no target, and hits all traffic"));
    assert!(!told("latency --ms 5 --port 80").contains("warning"));
}

#[test]
fn null_is_a_value_that_checks_can_ask_for() {
    let check = |how: &str| {
        let step = format!("http: GET /x\n        checks: [{{ json: $.a, {how} }}]");
        let text = SMALL.replace("http: GET /items", &step);
        loaded(&text).plan.flows[0].steps[0].checks[0].clone()
    };
    let holds = |how: &str, body: &[u8]| {
        let answer =
            crate::protocol::Answer { status: 200, headers: &[], body, latency: Duration::ZERO };
        check(how).test(&answer, &mut crate::template::Vars::new(0, 0)).is_ok()
    };
    for (how, of_null, of_nothing, of_value) in [
        ("exists: true", true, false, true),
        ("exists: false", false, true, false),
        ("equals: null", true, false, false),
        ("differs: null", false, false, true),
    ] {
        assert_eq!(holds(how, b"{\"a\": null}"), of_null, "{how}");
        assert_eq!(holds(how, b"{}"), of_nothing, "{how}");
        assert_eq!(holds(how, b"{\"a\": 1}"), of_value, "{how}");
    }
    assert_eq!(check("equals: null").name, "$.a equals \"null\"");
}

#[test]
fn a_body_keeps_the_order_of_its_keys() {
    let step = "http: { url: /x, method: POST, json: { zebra: 1, apple: { z: 1, a: 2 } } }";
    let scenario = loaded(&SMALL.replace("http: GET /items", step));
    match &scenario.plan.flows[0].steps[0].request {
        crate::plan::Request::Http(request) => match &request.body {
            crate::plan::Body::Bytes(bytes) => {
                assert_eq!(bytes, br#"{"zebra":1,"apple":{"z":1,"a":2}}"#);
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ledger_without_values_has_none_to_read_back() {
    let told = |note: &str| {
        let step = format!("http: PUT /items/{{{{user}}}}\n        ledger: {note}");
        let text = SMALL.replace("http: GET /items", &step);
        let read = "ledger: { read: [{ http: 'GET /items/{{key}}?is={{value}}' }] }\n";
        load_text(&format!("{text}{read}"))
    };
    assert!(told("{ key: 'k{{user}}', value: '5' }").is_ok());
    let error = told("'k{{user}}'").unwrap_err().to_string();
    assert!(error.contains("no step notes a value: say `ledger: { key: "), "{error}");
}

#[test]
fn a_fault_that_scaling_makes_short_has_no_lease_that_nobody_wrote() {
    let text = format!("{SMALL}faults: [{{ at: 1s, for: 2s, inject: latency --ms 5 --port 1 }}]\n");
    let options = Options { scale: 0.01, ..Options::default() };
    let scenario = from_yaml("s.yaml", &text, Path::new("."), &options).unwrap();
    let request = &scenario.faults[0].request;
    assert_eq!((request.lease, request.duration.get()), (None, Duration::from_millis(20)));
}
