//! Who is let in, and how much one client may take.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use faultd_api::MAX_BODY_BYTES;

use super::client::{Api, policy_of_tester};
use crate::engine::tests::fake::ask;

#[test]
fn a_caller_that_the_policy_does_not_name_gets_nothing() {
    let uid = nix::unistd::geteuid().as_raw();
    let api = Api::start(&format!("[[allow]]\nusers = [{}]", uid + 1));
    for (method, path) in [
        ("GET", "/v1/faults"),
        ("GET", "/v1/health"),
        ("GET", "/metrics"),
        ("GET", "/v1/events"),
        ("GET", "/nope"),
        ("PUT", "/v1/faults"),
        ("DELETE", "/v1/faults"),
        ("POST", "/v1/plan"),
    ] {
        let answer = api.send(method, path, "", "");
        assert_eq!(answer.status, 403, "{method} {path}");
        assert_eq!(answer.json()["type"], "urn:faultd:not-permitted", "{method} {path}");
    }
    let answer = api.post("/v1/faults", r#"{"kind":"partition"}"#);
    assert_eq!(answer.status, 403);
    assert!(answer.json()["detail"].as_str().unwrap().contains(&uid.to_string()));
    assert_eq!(api.engine.active(), 0);
}

#[test]
fn force_and_kinds_are_the_policys_to_give() {
    let api = Api::start(&policy_of_tester("force = false\nkinds = [\"latency\"]"));
    for body in [r#"{"kind":"latency","params":{"ms":5},"force":true}"#, r#"{"kind":"partition"}"#]
    {
        for path in ["/v1/faults", "/v1/plan"] {
            let answer = api.post(path, body);
            assert_eq!(answer.status, 403, "{path} {body}");
            assert_eq!(answer.json()["type"], "urn:faultd:not-permitted");
        }
    }
}

#[tokio::test]
async fn faults_of_others_stay_where_the_policy_says_so() {
    let api = Api::start(&policy_of_tester("revert_others = false"));
    let mut other = ask("x", 60_000);
    other.caller.uid = nix::unistd::geteuid().as_raw() + 1;
    let others = api.engine.inject(other).await.unwrap().id;
    let mine = api.inject("");
    assert_eq!(api.delete(&format!("/v1/faults/{others}")).status, 403);
    assert_eq!(api.post(&format!("/v1/faults/{others}/confirm"), "").status, 403);
    let ended = api.delete("/v1/faults").json();
    assert_eq!(ended["faults"].as_array().unwrap().len(), 1);
    assert_eq!(ended["faults"][0]["id"], mine);
    assert_eq!(api.engine.active(), 1);
}

#[test]
fn faults_of_one_user_are_bounded() {
    let api = Api::start(&policy_of_tester("max_active = 2"));
    api.inject("");
    api.inject("");
    let answer = api.post("/v1/faults", r#"{"kind":"partition"}"#);
    assert_eq!(answer.status, 403);
    assert!(answer.json()["detail"].as_str().unwrap().contains("allows 2"));
}

#[test]
fn bodies_are_bounded_whether_they_say_their_size_or_not() {
    let api = Api::start(&policy_of_tester(""));
    let with_label = |len: usize| {
        let frame = r#"{"kind":"partition","label":""}"#.len();
        format!(r#"{{"kind":"partition","label":"{}"}}"#, "x".repeat(len - frame))
    };
    let fits = api.post("/v1/faults", &with_label(MAX_BODY_BYTES));
    assert_eq!(fits.status, 400, "read, and refused for its label");
    let too_large = api.post("/v1/faults", &with_label(MAX_BODY_BYTES + 1));
    assert_eq!(too_large.status, 413);
    assert_eq!(too_large.json()["type"], "urn:faultd:too-large");

    let body = with_label(MAX_BODY_BYTES + 1);
    let mut request = format!(
        "POST /v1/faults HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    );
    request += &body;
    request += "\r\n0\r\n\r\n";
    assert_eq!(api.raw(request.as_bytes()).status, 413);
}

#[test]
fn one_user_cannot_take_all_connections() {
    let api = Api::start(&policy_of_tester(""));
    let mut held: Vec<_> = (0..192).map(|_| api.connect()).collect();
    // The daemon hangs up on the next one, and still serves those it has.
    let mut refused = api.connect();
    let start = Instant::now();
    assert_eq!(refused.read(&mut [0; 1]).unwrap(), 0);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(health(&mut held[191]).starts_with("HTTP/1.1 200"));
    drop(held);
    let start = Instant::now();
    while !health(&mut api.connect()).starts_with("HTTP/1.1 200") {
        assert!(start.elapsed() < Duration::from_secs(5), "slots are not given back");
    }
}

/// What the daemon answers; nothing when it hangs up.
fn health(stream: &mut UnixStream) -> String {
    let request = b"GET /v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    let sent = stream.write_all(request);
    let _ = sent.and_then(|()| stream.read_to_string(&mut answer));
    answer
}
