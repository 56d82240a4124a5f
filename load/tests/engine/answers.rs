//! Answers of all kinds, right and wrong, and what is said of them.

use std::time::Duration;

use faultload::{
    check::{Check, Predicate, Rule},
    extract::{Extract, Source},
    measure::ErrorKind,
    plan::{Arrival, Body, Flow, Plan, Request, Retry, Step, Streaming},
    template::{Scope, Template},
};

use crate::{errors, figures, get, plan, server::Server};

const RUN: Duration = Duration::from_millis(300);

/// Fifty requests for `path` within 300 ms.
fn asking(server: &Server, path: &str) -> Plan {
    plan(get(server.port, path), Arrival::rate(50.0 / 0.3), RUN)
}

#[test]
fn right_answers_are_right_however_they_are_framed() {
    let server = Server::start();
    for path in ["/ok", "/chunked", "/until-close", "/close", "/no-content", "/continue", "/pieces"]
    {
        let before = server.log().len();
        let summary = figures(asking(&server, path));
        let (total, seen) = (&summary.total, server.log().len() - before);
        assert_eq!((total.due, total.ok, total.failed), (50, 50, 0), "{path}: {total:?}");
        assert_eq!(seen, 50, "{path}: what the server saw");
        let status = if path == "/no-content" { "204" } else { "200" };
        assert_eq!(total.statuses, [(status.to_owned(), 50)].into(), "{path}");
        let kept = !matches!(path, "/until-close" | "/close");
        let opened = total.connections.opened;
        assert!(if kept { opened < 50 } else { opened == 50 }, "{path}: {opened} opened");
        assert_eq!(opened + total.connections.reused, 50, "{path}");
    }
}

#[test]
fn an_answer_to_head_ends_with_its_head() {
    let server = Server::start();
    let mut request = get(server.port, "/head");
    request.method = "HEAD".into();
    let summary = figures(plan(request, Arrival::rate(100.0), RUN));
    assert_eq!((summary.total.ok, summary.total.failed), (30, 0), "{:?}", summary.total);
    assert!(summary.total.connections.reused > 0);
}

#[test]
fn wrong_answers_are_failures_of_their_kind() {
    let server = Server::start();
    let cases = [
        ("/truncate", ErrorKind::Truncated),
        ("/half-chunked", ErrorKind::Truncated),
        ("/longer", ErrorKind::Protocol),
        ("/garbage", ErrorKind::Protocol),
        ("/reset", ErrorKind::Reset),
        ("/unavailable", ErrorKind::Status),
    ];
    for (path, kind) in cases {
        let before = server.log().len();
        let summary = figures(asking(&server, path));
        assert_eq!(summary.total.failed, 50, "{path}: {:?}", summary.total.errors);
        assert_eq!(errors(&summary, kind), 50, "{path}: {:?}", summary.total.errors);
        assert_eq!(server.log().len() - before, 50, "{path}: none was sent twice");
        assert_eq!(summary.total.failed_latency.count, 50, "{path}");
    }
}

#[test]
fn no_answer_is_a_timeout_with_the_time_that_was_waited() {
    let server = Server::start();
    let mut plan = asking(&server, "/hang");
    plan.flows[0].steps[0].timeout = Duration::from_millis(200);
    let summary = figures(plan);
    assert_eq!(errors(&summary, ErrorKind::Timeout), 50);
    assert!(summary.total.failed_latency.min_ms.unwrap() >= 199.0);
}

#[test]
fn nobody_there_is_a_failure_to_connect() {
    let port = Server::start().port;
    let summary = figures(plan(get(port, "/"), Arrival::rate(100.0), RUN));
    assert_eq!(errors(&summary, ErrorKind::Connect), 30, "{:?}", summary.total.errors);
    assert_eq!(summary.total.connections.failed, 30);
    assert!(summary.total.local_errors.is_empty());
}

#[test]
fn a_connection_closed_while_idle_is_replaced_without_an_error() {
    let server = Server::start();
    let mut plan = asking(&server, "/one-each");
    plan.stages[0].arrival = Arrival::users(1);
    plan.flows[0].steps[0].think = Some(faultload::plan::Think {
        min: Duration::from_millis(20),
        max: Duration::from_millis(20),
    });
    let summary = figures(plan);
    let total = &summary.total;
    assert_eq!(total.failed, 0, "{:?}", total.errors);
    assert!(total.ok >= 3 && total.connections.opened == total.ok, "{total:?}");
}

#[test]
fn bytes_are_those_that_the_server_saw() {
    let server = Server::start();
    let mut request = get(server.port, "/ok");
    request.method = "POST".into();
    request.body = Body::Bytes(vec![b'x'; 1000]);
    let summary = figures(plan(request, Arrival::rate(100.0), RUN));
    let seen: usize = server.log().iter().map(|seen| seen.text.len()).sum();
    assert_eq!(summary.total.sent_bytes, seen as u64);
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".len() as u64;
    assert_eq!(summary.total.received_bytes, 30 * answer);
}

#[test]
fn retries_are_counted_and_the_request_once() {
    let server = Server::start();
    let mut plan = plan(get(server.port, "/unavailable"), Arrival::rate(100.0), RUN);
    plan.flows[0].steps[0].retry = Retry { attempts: 2, pause: Duration::from_millis(1) };
    let summary = figures(plan);
    assert_eq!((summary.total.failed, summary.total.due), (30, 30));
    let seen = server.log().len() as u64;
    assert_eq!(seen, 30 + summary.total.retries);
    assert!(seen > 60, "{seen}: nearly all are tried three times");
}

#[test]
fn what_a_step_extracts_the_next_one_sends() {
    let server = Server::start();
    let mut scope = Scope::default();
    let name = scope.name("token");
    let mut login = Step::new("login", Request::Http(Box::new(get(server.port, "/token"))));
    login.extracts = vec![Extract {
        variable: name,
        source: Source::json_path("$.token").unwrap(),
        default: None,
    }];
    login.checks = vec![Check {
        name: "the header says t1".into(),
        rule: Rule::Value(
            Source::Header("x-token".into()),
            Predicate::Equals(Template::compile("t1").unwrap()),
        ),
    }];
    let mut request = get(server.port, "/ok");
    request.headers.push(("authorization".into(), scope.compile("Bearer {{token}}").unwrap()));
    let call = Step::new("call", Request::Http(Box::new(request)));
    let mut plan = plan(get(server.port, "/"), Arrival::rate(100.0), RUN);
    plan.flows =
        vec![Flow { name: "both".into(), steps: vec![login, call], ..plan.flows[0].clone() }];
    let summary = figures(plan);
    assert_eq!(summary.total.failed, 0, "{:?}", summary.total);
    assert_eq!(summary.flows[0].completed, summary.flows[0].steps[1].stats.ok);
    assert_eq!(summary.checks[0].passed, 30);
    let log = server.log();
    let calls = log.iter().filter(|seen| seen.line == "GET /ok");
    assert!(calls.clone().count() > 20);
    assert!(calls.clone().all(|seen| seen.text.contains("authorization: Bearer t2\r\n")));
}

#[test]
fn events_of_a_stream_are_timed() {
    let server = Server::start();
    let mut request = get(server.port, "/events");
    request.streaming = Some(Streaming::ServerSentEvents);
    let summary = figures(plan(request, Arrival::rate(100.0), RUN));
    let stream = summary.total.stream.as_ref().unwrap();
    assert_eq!(stream.events, 30 * 5, "`[DONE]` is no event");
    assert_eq!((stream.first_event.count, stream.between_events.count), (30, 30 * 4));
    // The server sleeps 20 ms before each.
    let (first, between) =
        (stream.first_event.p50_ms.unwrap(), stream.between_events.mean_ms.unwrap());
    assert!(first >= 19.5 && between >= 15.0, "{first} ms, {between} ms");
    let shortest = summary.total.latency.min_ms.unwrap();
    assert!(shortest >= 95.0, "{shortest} ms");
}
