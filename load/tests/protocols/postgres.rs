//! PostgreSQL as no PostgreSQL would be.

use crate::{
    fake::{Case, Fake, Peer},
    flow, limit,
    programs::eventually,
    run,
};

/// A message of the server's.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, body].concat()
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn error(state: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0C{state}\0M{text}\0\0").as_bytes())
}

/// Lets the client in.
fn log_in(peer: &mut Peer) {
    peer.read();
    peer.say([message(b'R', &[0; 4]), ready()].concat());
}

fn step(port: u16, limit: &str) -> String {
    flow(&format!(
        "{{ postgres: {{ url: 'postgres://u@127.0.0.1:{port}/d', query: SELECT 1 }}, timeout: {limit}, checks: [{{ json: '$[0].a', exists: true }}] }}"
    ))
}

#[test]
fn failures_are_of_their_kind() {
    let cases: [Case; 7] = [
        (
            |peer| {
                log_in(peer);
                while peer.read().is_some() {
                    peer.say([error("42601", "syntax error"), ready()].concat());
                }
            },
            "status",
            "SQLSTATE 42601: syntax error",
        ),
        (
            |peer| {
                peer.read();
                peer.say(error("57P03", "the database system is starting up"));
            },
            "connect",
            "refused: SQLSTATE 57P03: the database system is starting up",
        ),
        (
            |peer| {
                log_in(peer);
                peer.read();
            },
            "reset",
            "closed before a byte of the answer",
        ),
        (
            |peer| {
                log_in(peer);
                peer.read();
                peer.say(error("57P01", "terminating connection"));
            },
            "reset",
            "SQLSTATE 57P01: terminating connection",
        ),
        (
            |peer| {
                log_in(peer);
                peer.read();
                peer.say(&message(b'D', b"\0\x01\0\0\0\x05hello")[..9]);
            },
            "truncated",
            "closed in the middle of an answer",
        ),
        (
            |peer| {
                log_in(peer);
                peer.read();
                peer.say("HTTP/1.1 400 Bad Request\r\n\r\n");
                peer.hang();
            },
            "protocol",
            "is none",
        ),
        (
            |peer| {
                log_in(peer);
                peer.hang();
            },
            "timeout",
            "no complete answer within",
        ),
    ];
    for (serve, expected, text) in cases {
        let server = Fake::start(serve);
        let ran = run(&step(server.port, limit(expected)));
        assert_eq!(ran.end(), expected, "{text}: {:?}", ran.failures);
        assert!(ran.failures[0].contains(text), "{text}: {:?}", ran.failures);
        eventually(&ran.summary.total.sent_bytes, || server.moved().0);
    }
}

#[test]
fn rows_that_are_not_as_announced_are_refused() {
    for (row, text) in [
        // Two columns announced, one sent; a value longer than its row.
        (&b"\0\x01\0\0\0\x011"[..], "values"),
        (b"\0\x02\0\0\0\x7f1", "row"),
    ] {
        let server = Fake::start(move |peer: &mut Peer| {
            log_in(peer);
            peer.read();
            let column = |name: &str| {
                [name.as_bytes(), b"\0\0\0\0\0\0\0", b"\0\0\0\x17", b"\0\x04\xff\xff\xff\xff\0\0"]
                    .concat()
            };
            let columns = [b"\0\x02".to_vec(), column("a"), column("b")].concat();
            peer.say([message(b'T', &columns), message(b'D', row), ready()].concat());
            peer.hang();
        });
        let ran = run(&step(server.port, limit("protocol")));
        assert_eq!(ran.end(), "protocol", "{text}: {:?}", ran.failures);
    }
}
