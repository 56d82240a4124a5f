//! Calls over gRPC: what is understood, and what somebody who made a mistake reads.

use std::path::PathBuf;

use super::*;
use crate::{
    plan::{GrpcRequest, GrpcSchema, Request, Scheme, Transport},
    protocol::grpc::status,
};

/// The smallest scenario with a call; tests change it.
const CALL: &str = "\
name: call
flows:
  shop:
    steps:
      - grpc:
          method: shop.v1.Cart/Add
          message: { item: tea, n: 3 }
          metadata: { x-a: b }
grpc:
  address: 127.0.0.1:50051
  proto: cart.proto
stages:
  - for: 10s
    rate: 100/s
";

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn load_call(text: &str) -> Result<Scenario, LoadError> {
    from_yaml("s.yaml", text, &scenarios(), &Options::default())
}

fn call(text: &str) -> GrpcRequest {
    let scenario = load_call(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    match scenario.plan.flows[0].steps[0].request.clone() {
        Request::Grpc(request) => *request,
        other => panic!("{other:?}"),
    }
}

fn mistake(old: &str, new: &str) -> String {
    assert!(CALL.contains(old), "{old:?} is not in the scenario");
    let error = load_call(&CALL.replacen(old, new, 1)).unwrap_err().to_string();
    error.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_call_is_understood() {
    let request = call(CALL);
    assert_eq!((request.target.host.as_str(), request.target.port), ("127.0.0.1", 50_051));
    assert_eq!((request.scheme, request.collect), (Scheme::Http, false));
    assert_eq!(request.expect, [status::OK..=status::OK]);
    assert_eq!(request.message.as_static(), Some(&br#"{"item":"tea","n":3}"#[..]));
    assert_eq!(request.place, "s.yaml:6:19");
    let GrpcSchema::Known(method) = &request.schema else { panic!("{:?}", request.schema) };
    assert_eq!(method.full_name(), "shop.v1.Cart.Add");

    let text = CALL
        .replace("  address: 127.0.0.1:50051", "  address: unix:/run/shop.sock\n  insecure: true")
        .replace(
            "  proto: cart.proto",
            "  reflection: true\n  metadata: { X-A: c, x-d: '{{user}}' }",
        );
    let request = call(&text);
    assert_eq!(request.target.transport, Transport::Unix("/run/shop.sock".into()));
    assert_eq!(request.scheme, Scheme::HttpsInsecure);
    assert!(matches!(&request.schema, GrpcSchema::Reflection(name) if name == "shop.v1.Cart/Add"));
    let names: Vec<&str> = request.metadata.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-a", "x-d"]);
    assert_eq!(request.metadata[0].1.as_static(), Some(&b"b"[..]), "a call's own goes first");

    let short = "      - grpc: shop.v1.Cart/Watch\n        expect: [ok]\n";
    let start = CALL.find("      - grpc").unwrap();
    let end = CALL.find("grpc:\n  address").unwrap();
    let text = format!("{}{}{}", &CALL[..start], short.replace("[ok]", "[OK, 5]"), &CALL[end..]);
    let request = call(&text);
    assert_eq!(request.expect.len(), 2);
    assert_eq!(request.expect[1], status::of_code(5)..=status::of_code(5));
    let steps = &load_call(&text).unwrap().plan.flows[0].steps;
    assert_eq!(steps[0].name, "Cart/Watch");
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (old, new, expected) in [
        (
            "Cart/Add",
            "Cart/Ad",
            "s.yaml:6:19: the service shop.v1.Cart has no method \"Ad\"; did you mean `Add`? \
             (in flows.shop.steps[0].grpc.method)",
        ),
        (
            "shop.v1.Cart/Add",
            "shop.v1.Card/Add",
            "s.yaml:6:19: there is no service \"shop.v1.Card\"; did you mean `shop.v1.Cart`? \
             (in flows.shop.steps[0].grpc.method)",
        ),
        (
            "shop.v1.Cart/Add",
            "Add",
            "s.yaml:6:19: takes a service and a method such as shop.v1.Cart/Add, got \"Add\" \
             (in flows.shop.steps[0].grpc.method)",
        ),
        (
            "          method: shop.v1.Cart/Add\n",
            "",
            "s.yaml:6:11: `method` is missing (in flows.shop.steps[0].grpc)",
        ),
        (
            "item: tea",
            "itme: tea",
            "s.yaml:7:22: shop.v1.AddRequest has no field `itme`; did you mean `item`? \
             (in flows.shop.steps[0].grpc.message.itme)",
        ),
        (
            "item: tea",
            "item: '{{tae}}'",
            "s.yaml:7:20: the variable \"tae\" is not known here; an earlier step has to extract \
             it (variables of `vars` are written ${…}) (in flows.shop.steps[0].grpc.message)",
        ),
        (
            "message: {",
            "mesage: {",
            "s.yaml:7:11: unknown key `mesage`; did you mean `message`? \
             (in flows.shop.steps[0].grpc)",
        ),
        (
            "x-a: b",
            "grpc-timeout: 1S",
            "s.yaml:8:23: `grpc-timeout` has a meaning of its own in gRPC: leave it out \
             (in flows.shop.steps[0].grpc.metadata.grpc-timeout)",
        ),
        (
            "x-a: b",
            "\"x a\": b",
            "s.yaml:8:23: \"x a\" is no name of metadata: letters, digits, _, - and . \
             (in flows.shop.steps[0].grpc.metadata.x a)",
        ),
        (
            "x-a: b",
            "x-bin: \"%\"",
            "s.yaml:8:30: a value of a name that ends in -bin is base64: {{… | base64}} \
             (in flows.shop.steps[0].grpc.metadata.x-bin)",
        ),
        (
            "  address: 127.0.0.1:50051\n",
            "",
            "s.yaml:6:11: `address` is missing: say it here, or `grpc: { address: HOST:PORT }` \
             at the top for all calls (in flows.shop.steps[0].grpc)",
        ),
        (
            "127.0.0.1:50051",
            "http://127.0.0.1:50051",
            "s.yaml:10:12: takes HOST:PORT or unix:/path/to.sock, without a scheme \
             (TLS is `tls: true`), got \"http://127.0.0.1:50051\" (in flows.shop.steps[0].grpc.address)",
        ),
        (
            "  proto: cart.proto\n",
            "",
            "s.yaml:6:19: nothing says what the method looks like: `proto: FILE`, or \
             `reflection: true` to ask the server (in flows.shop.steps[0].grpc.method)",
        ),
        (
            "  proto: cart.proto\n",
            "  proto: cart.proto\n  reflection: true\n",
            "s.yaml:11:10: `proto` and `reflection` at once: a method is described in one place \
             (in flows.shop.steps[0].grpc)",
        ),
        (
            "          metadata: { x-a: b }\n",
            "        expect: NOTFOUND\n",
            "s.yaml:8:17: takes a status of gRPC such as OK or NOT_FOUND, got \"NOTFOUND\"; \
             did you mean `NOT_FOUND`? (in flows.shop.steps[0].expect)",
        ),
        (
            "          metadata: { x-a: b }\n",
            "        checks: [{ status: 2xx }]\n",
            "s.yaml:8:28: takes a status of gRPC such as OK or NOT_FOUND, got \"2xx\" \
             (in flows.shop.steps[0].checks[0].status)",
        ),
    ] {
        assert_eq!(mistake(old, new), expected);
    }
    let missing = mistake("cart.proto", "crat.proto");
    assert!(missing.starts_with("s.yaml:11:10: ") && missing.contains("crat.proto"), "{missing}");
    let wrong = mistake("n: 3", "n: three");
    assert!(wrong.starts_with("s.yaml:7:33: "), "{wrong}");
    assert!(wrong.ends_with("(in flows.shop.steps[0].grpc.message.n)"), "{wrong}");
}

#[test]
fn whatever_a_call_holds_is_taken_or_refused_with_a_place() {
    let has_a_place = |text: &str| {
        let Err(error) = load_call(text) else { return };
        let LoadError::Invalid(invalid) = error else { panic!("{error}") };
        let lines = text.lines().count() as u32 + 1;
        assert!((1..=lines).contains(&invalid.place.line), "{:?} in {text:?}", invalid.place);
        assert!(!invalid.message.is_empty() && !invalid.message.contains('\n'), "{invalid}");
    };
    for at in 0..CALL.len() {
        has_a_place(&CALL[..at]);
    }
    for word in CALL.split_whitespace() {
        for odd in ["{", "[]", "[[1]]", "{a: {b: 1}}", "-1", "null", "true", "{{", "\"\"", "/", "ü"]
        {
            has_a_place(&CALL.replacen(word, odd, 1));
        }
    }
}
