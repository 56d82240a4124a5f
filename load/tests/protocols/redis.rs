//! Redis as no Redis would be.

use crate::{
    fake::{Case, Fake, Peer},
    flow, limit,
    programs::eventually,
    run,
};

#[test]
fn failures_are_of_their_kind() {
    let cases: [Case; 7] = [
        (
            |peer| {
                while peer.read().is_some() {
                    peer.say("-WRONGTYPE Operation against a key\r\n");
                }
            },
            "status",
            "WRONGTYPE Operation against a key",
        ),
        (
            |peer| {
                peer.read();
                peer.say("$10\r\nhalf");
            },
            "truncated",
            "closed in the middle of an answer",
        ),
        (|peer| drop(peer.read()), "reset", ""),
        (
            |peer| {
                peer.read();
                peer.say("HTTP/1.1 400 Bad Request\r\n\r\n");
                peer.hang();
            },
            "protocol",
            "'H' begins no answer of Redis",
        ),
        (
            |peer| {
                peer.read();
                peer.say("$3\r\nhello\r\n");
                peer.hang();
            },
            "protocol",
            "a string is longer than the 3 bytes it says",
        ),
        (
            |peer| {
                peer.read();
                peer.say("+OK\r\n+OK\r\n");
                peer.hang();
            },
            "protocol",
            "bytes after an answer",
        ),
        (
            |peer| {
                peer.read();
                peer.say("$3\r\nhe");
                peer.hang();
            },
            "timeout",
            "no complete answer within",
        ),
    ];
    for (serve, expected, text) in cases {
        let server = Fake::start(serve);
        let limit = limit(expected);
        let step = format!(
            r#"{{ redis: {{ address: "127.0.0.1:{}", command: GET k }}, timeout: {limit} }}"#,
            server.port
        );
        let ran = run(&flow(&step));
        assert_eq!(ran.end(), expected, "{text}: {:?}", ran.failures);
        assert!(ran.failures[0].contains(text), "{text}: {:?}", ran.failures);
        eventually(&ran.summary.total.sent_bytes, || server.moved().0);
    }
}

#[test]
fn a_server_that_is_full_says_so_and_is_not_called_a_reset() {
    let server = Fake::start(|peer: &mut Peer| {
        peer.say("-ERR max number of clients reached\r\n");
        peer.read();
    });
    let step = format!(r#"{{ redis: {{ address: "127.0.0.1:{}", command: PING }} }}"#, server.port);
    let ran = run(&flow(&step));
    assert_eq!(ran.end(), "status", "{:?}", ran.failures);
    assert!(ran.failures[0].contains("max number of clients"));
}
