//! Answers that are none, and what is said of them.

use faultload::measure::ErrorKind;

use crate::{
    errors,
    raw::{Conduct, Raw, Trailers},
    run, scenario,
};

const GRPC: &str = "application/grpc";

/// Twenty calls go to a server of that conduct; each fails in that way, or none does.
fn meet(conduct: Conduct, method: &str, kind: Option<ErrorKind>, status: &str, says: &str) {
    let server = Raw::start(conduct);
    let step = format!("- grpc: {{ method: shop.v1.Cart/{method} }}");
    let stage = "{ for: 200ms, rate: 100/s }";
    let text = scenario(&server.address, "proto: cart.proto", &[&step], stage);
    let (summary, failures) = run(&text);
    let total = &summary.total;
    assert_eq!((total.due, total.unfinished), (20, 0), "{conduct:?}");
    match conduct {
        // What was sent on a connection just closed is not seen any more.
        Conduct::Close | Conduct::GoAway => assert!((1..=20).contains(&server.calls())),
        _ => assert_eq!(server.calls(), 20, "{conduct:?}: calls that the server saw"),
    }
    match kind {
        None => assert_eq!(total.failed, 0, "{conduct:?}: {failures:?}"),
        Some(kind) => {
            assert_eq!(errors(&summary, kind), total.due, "{conduct:?}: {failures:?}");
            assert!(failures.iter().any(|text| text.contains(says)), "{conduct:?}: {failures:?}");
        }
    }
    let statuses = match status {
        "" => [].into(),
        status => [(status.to_owned(), total.due)].into(),
    };
    assert_eq!(total.statuses, statuses, "{conduct:?}");
}

fn answer(body: &'static [u8], trailers: Trailers) -> Conduct {
    Conduct::Answer { http: 200, kind: GRPC, body, trailers }
}

#[test]
fn what_is_right_passes() {
    let ok = Trailers::Status("0");
    meet(answer(b"\0\0\0\0\0", ok), "Add", None, "OK", "");
    meet(answer(b"\0\0\0\0\x02\x10\x05", ok), "Add", None, "OK", "");
    meet(answer(b"", ok), "Watch", None, "OK", "");
    meet(answer(b"\0\0\0\0\0\0\0\0\0\0", ok), "Watch", None, "OK", "");
}

#[test]
fn statuses_are_statuses_wherever_they_stand() {
    let status = Some(ErrorKind::Status);
    meet(Conduct::TrailersOnly("14"), "Add", status, "UNAVAILABLE", "UNAVAILABLE: try later");
    meet(Conduct::TrailersOnly("14"), "Watch", status, "UNAVAILABLE", "UNAVAILABLE: try later");
    meet(answer(b"", Trailers::Status("8")), "Add", status, "RESOURCE_EXHAUSTED", "EXHAUSTED");
    meet(answer(b"", Trailers::Status("99")), "Add", status, "GRPC_99", "GRPC_99");
    let proxy = Conduct::Answer {
        http: 503,
        kind: "text/html",
        body: b"<h1>none there</h1>",
        trailers: Trailers::None,
    };
    meet(proxy, "Add", status, "503", "HTTP status 503");
}

#[test]
fn an_answer_without_its_end_is_truncated() {
    let truncated = Some(ErrorKind::Truncated);
    let whole = b"\0\0\0\0\0";
    meet(answer(whole, Trailers::None), "Add", truncated, "", "without its status");
    meet(answer(whole, Trailers::None), "Watch", truncated, "", "without its status");
    let longer = b"\0\0\0\0\x20\x10\x05";
    meet(answer(longer, Trailers::Status("0")), "Add", truncated, "OK", "within a message");
    meet(answer(longer, Trailers::Status("0")), "Watch", truncated, "OK", "within a message");
}

#[test]
fn what_is_no_grpc_is_refused() {
    let protocol = Some(ErrorKind::Protocol);
    let ok = Trailers::Status("0");
    meet(answer(b"\x01\0\0\0\0", ok), "Add", protocol, "", "compressed");
    meet(answer(b"\0\xff\xff\xff\xffxx", ok), "Add", protocol, "", "4294967295 bytes");
    meet(answer(b"220 mail.example ESMTP", ok), "Add", protocol, "", "begins with 0x32");
    meet(
        answer(b"\0\0\0\0\x02\xff\xff", ok),
        "Add",
        protocol,
        "",
        "no message of Protocol Buffers",
    );
    meet(answer(b"", ok), "Add", protocol, "OK", "0 messages");
    meet(answer(b"\0\0\0\0\0\0\0\0\0\0", ok), "Add", protocol, "OK", "2 messages");
    meet(answer(b"\0\0\0\0\0", Trailers::Status("x")), "Add", protocol, "", "no number");
    let page =
        Conduct::Answer { http: 200, kind: "text/html", body: b"<h1>", trailers: Trailers::None };
    meet(page, "Add", protocol, "", "\"text/html\", not application/grpc");
}

#[test]
fn what_breaks_is_a_reset() {
    let reset = Some(ErrorKind::Reset);
    meet(Conduct::Reset, "Add", reset, "", "stream error");
    meet(Conduct::Reset, "Watch", reset, "", "stream error");
    meet(Conduct::Close, "Add", reset, "", "");
    meet(Conduct::GoAway, "Add", reset, "", "");
}

#[test]
fn a_connection_that_the_server_retires_costs_no_call() {
    meet(Conduct::Retire, "Add", None, "OK", "");
}
