//! Bytes over plain connections.

use std::{os::unix::net::UnixListener, thread};

use crate::{
    fake::{Case, Fake, Peer},
    flow, limit,
    programs::eventually,
    run, run_stages, run_with,
};

/// Answers each line with `answer`.
pub fn lines(answer: &'static [u8]) -> Fake {
    Fake::start(move |peer: &mut Peer| {
        while peer.read().is_some() {
            peer.say(answer);
        }
    })
}

#[test]
fn each_way_to_end_an_answer() {
    for (answer, end) in [
        (&b"+PONG\r\n"[..], r#"until: "\r\n""#),
        (b"+PONG, and more", "length: 5"),
        (b"\0\0\0\x05+PONG", "length_prefix: 4"),
        (b"x\n+PONG\n", "until_match: 'PONG'"),
    ] {
        let server = lines(answer);
        let step = format!(
            r#"{{ tcp: {{ address: "127.0.0.1:{}", send: "PING\r\n", {end} }},
                 checks: [{{ body_matches: "\\+PONG$" }}], extract: {{ word: {{ regex: "PO.." }} }} }}"#,
            server.port
        );
        let ran = run_stages(&flow(&step), "[{ for: 200ms, users: 1 }]");
        // What is left over of a longer answer is the beginning of the next one.
        if answer.len() == 15 {
            assert_eq!(ran.summary.total.errors.keys().collect::<Vec<_>>(), ["check"]);
            assert!(ran.summary.total.ok >= 1);
            continue;
        }
        assert_eq!(ran.end(), "ok", "{end}: {:?}", ran.failures);
        assert_eq!((server.connections(), ran.summary.total.connections.opened), (1, 1));
        let total = &ran.summary.total;
        assert_eq!((total.sent_bytes, total.received_bytes), server.moved(), "{end}");
        assert_eq!(total.first_byte.count, total.ok);
    }
}

#[test]
fn until_close_takes_a_connection_each_time() {
    let server = Fake::start(|peer: &mut Peer| {
        peer.read();
        peer.say("a long ");
        peer.say("answer");
    });
    let step = format!(
        r#"{{ tcp: {{ address: "127.0.0.1:{}", send: "x", until_close: true }}, checks: [{{ body_equals: a long answer }}] }}"#,
        server.port
    );
    let ran = run(&flow(&step));
    assert_eq!(ran.end(), "ok", "{:?}", ran.failures);
    assert_eq!((ran.summary.total.ok, server.connections()), (30, 30));
}

#[test]
fn a_server_that_speaks_first_is_heard_over_a_fresh_connection_or_a_kept_one() {
    let server = Fake::start(|peer: &mut Peer| {
        peer.say(format!("220 hello {}\r\n", peer.number));
        while let Some(line) = peer.read() {
            peer.say([b"250 ", line.as_slice()].concat());
        }
    });
    let address = format!("127.0.0.1:{}", server.port);
    let step = format!(
        r#"{{ tcp: {{ address: "{address}", until: "\r\n", fresh: true }}, checks: [{{ body_contains: 220 hello }}] }}"#
    );
    assert_eq!(run(&flow(&step)).end(), "ok");
    assert_eq!(server.connections(), 30);
    let steps = format!(
        r#"{{ tcp: {{ address: "{address}", until: "\r\n" }}, extract: {{ n: {{ regex: 'hello (\d+)' }} }} }},
           {{ tcp: {{ address: "{address}", send: "HELO {{{{n}}}}\r\n", until: "\r\n" }}, checks: [{{ body_equals: "250 HELO {{{{n}}}}" }}] }}"#
    );
    let text = format!("flows: {{ f: {{ keep_connections: false, steps: [{steps}] }} }}");
    let ran = run(&text);
    assert_eq!(ran.end(), "ok", "{:?}", ran.failures);
    assert_eq!(server.connections(), 60, "the second step goes over the connection of the first");
}

#[test]
fn bytes_of_any_kind_are_sent_and_large_ones_while_they_are_answered() {
    let echo = Fake::start(|peer: &mut Peer| {
        while let Some(bytes) = peer.read() {
            peer.say(bytes);
        }
    });
    let address = format!("127.0.0.1:{}", echo.port);
    let step = format!(
        "{{ tcp: {{ address: \"{address}\", send_hex: '00 ff 0a', length: 3 }}, checks: [{{ body_matches: '(?-u)^\\x00\\xff\\n$' }}] }}"
    );
    assert_eq!(run(&flow(&step)).end(), "ok");
    // More than the buffers of both sockets: whoever only writes never ends.
    let step = format!(
        r#"{{ tcp: {{ address: "{address}", send: "{{{{random.string(12MiB)}}}}", length: 12MiB }} }}"#
    );
    let ran = run_stages(&flow(&step), "[{ for: 100ms, users: 1 }]");
    assert_eq!(ran.end(), "ok", "{:?}", ran.failures);
    assert_eq!(ran.summary.total.received_bytes, ran.summary.total.ok * (12 << 20));
}

#[test]
fn failures_are_of_their_kind() {
    let cases: [Case; 5] = [
        (|peer| drop(peer.read()), r#"until: "\r\n""#, "reset"),
        (
            |peer| {
                peer.read();
                peer.say("half");
            },
            r#"until: "\r\n""#,
            "truncated",
        ),
        (
            |peer| {
                peer.read();
                peer.say("\0\u{9}half");
            },
            "length_prefix: 2",
            "truncated",
        ),
        (
            |peer| {
                peer.read();
                peer.say("half");
                peer.hang();
            },
            "length: 5",
            "timeout",
        ),
        (
            |peer| {
                peer.read();
                peer.say(vec![b'x'; 100_000]);
                peer.hang();
            },
            r#"until: "\r\n""#,
            "check",
        ),
    ];
    for (serve, end, expected) in cases {
        let server = Fake::start(serve);
        let limit = limit(expected);
        let step = format!(
            r#"{{ tcp: {{ address: "127.0.0.1:{}", send: "x", {end} }}, timeout: {limit}, checks: [{{ body_contains: x }}] }}"#,
            server.port
        );
        let ran = run_with(&flow(&step), "[{ for: 300ms, rate: 100/s }]", "50KiB");
        assert_eq!(ran.end(), expected, "{end}: {:?}", ran.failures);
        // What was cut off counts.
        eventually(&ran.summary.total.sent_bytes, || server.moved().0);
    }
    let gone = lines(b"").port;
    let step = format!(r#"{{ tcp: {{ address: "127.0.0.1:{gone}", send: x, length: 1 }} }}"#);
    let ran = run(&flow(&step));
    assert_eq!((ran.end(), ran.summary.total.connections.failed), ("connect", 30));
}

#[test]
fn unix_sockets_work_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        use std::io::{Read, Write};
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut buffer = [0; 100];
                while let Ok(1..) = stream.read(&mut buffer) {
                    if stream.write_all(b"ok\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    let step = format!(
        r#"{{ tcp: {{ address: "unix:{}", send: "x", until: "\n" }}, checks: [{{ body_equals: ok }}] }}"#,
        path.display()
    );
    assert_eq!(run(&flow(&step)).end(), "ok");
}
