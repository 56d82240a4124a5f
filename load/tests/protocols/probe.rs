//! The availability probe beside real servers: it sees what they do and counts what they count.

use std::{
    collections::BTreeSet,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use faultload::summary::Probe;
use nix::sys::signal::Signal;

use crate::{
    fake::{Fake, Peer},
    nginx::Nginx,
    programs::eventually,
    real_postgres::Postgres,
    real_redis::{Redis, ask, number},
    run_stages,
    tcp::lines,
};

/// A second is a long time for a probe, and no time on a busy machine.
const PATIENT: &str = "timeout: 15s";

/// How far an outage may be from what the test's own clock says, in seconds.
const WIDE: f64 = 0.4;

/// What a probe sees in a run in which nothing else is sent.
fn probe(defaults: &str, written: &str, length: &str) -> Probe {
    let text = format!(
        "{defaults}probe: {{ {written} }}\nflows: {{ none: {{ steps: [{{ pause: 1s }}] }} }}"
    );
    let ran = run_stages(&text, &format!("[{{ for: {length}, pause: true }}]"));
    assert_eq!(ran.summary.total.sent, 0);
    ran.summary.probes[0].clone()
}

/// The same meanwhile; `happens` does something to the server a second later, and returns how
/// long it was away.
fn probe_while(
    defaults: String,
    written: &'static str,
    happens: impl FnOnce() -> Duration,
) -> (Probe, f64) {
    let probing = thread::spawn(move || probe(&defaults, written, "5s"));
    sleep(Duration::from_millis(1000));
    let truth = happens().as_secs_f64();
    (probing.join().unwrap(), truth)
}

/// Both streams saw one outage of that length.
#[track_caller]
fn was_away(probe: &Probe, truth: f64) {
    for stream in [&probe.fresh, &probe.pooled] {
        let measured = stream.longest_outage_s;
        assert!((measured - truth).abs() < WIDE, "{measured} s, {truth} s is true: {stream:?}");
        let failed: u64 = stream.outages.iter().map(|outage| outage.failed).sum();
        assert_eq!(failed, stream.sent - stream.ok);
        assert!(stream.outages.iter().all(|outage| outage.end_s.is_some()), "{stream:?}");
    }
}

/// All is well, fifty times a second in each stream; returns how many probes there were.
#[track_caller]
fn is_green(probe: &Probe) -> u64 {
    for stream in [&probe.fresh, &probe.pooled] {
        assert_eq!((stream.ok, stream.outages.len()), (stream.sent, 0), "{stream:?}");
        assert!((45..150).contains(&stream.sent), "{stream:?}");
        assert_eq!(stream.latency.count, stream.ok);
    }
    probe.fresh.sent + probe.pooled.sent
}

/// Each fresh probe opened a connection, and the pooled ones few.
#[track_caller]
fn opened(probe: &Probe, connections: u64) {
    let fresh = probe.fresh.sent;
    let most = fresh + probe.pooled.sent / 2;
    assert!((fresh + 1..=most).contains(&connections), "{connections}: {probe:?}");
}

#[test]
fn a_redis_that_stands_still_is_away_for_so_long() {
    let redis = Redis::start(&[]);
    let probe = "redis: PING, timeout: 500ms";
    let (probe, truth) = probe_while(redis.defaults(), probe, || {
        redis.signal(Signal::SIGSTOP);
        let stopped = Instant::now();
        sleep(Duration::from_millis(1500));
        redis.signal(Signal::SIGCONT);
        let truth = stopped.elapsed();
        // Some 25 probes waited on kept connections and were answered; one of these is enough.
        sleep(Duration::from_millis(1700));
        let clients = ask(&mut redis.connect(), "INFO clients");
        assert!(number(&clients, "connected_clients") < 20, "{clients}");
        truth
    });
    was_away(&probe, truth);
    let reason = probe.fresh.outages[0].reason.as_deref().unwrap();
    assert_eq!(reason, "timeout: no complete answer within 500ms");
}

#[test]
fn a_redis_that_was_killed_is_away_until_it_is_back() {
    let mut redis = Redis::start(&[]);
    let (probe, truth) = probe_while(redis.defaults(), "redis: PING", || {
        redis.signal(Signal::SIGKILL);
        let killed = Instant::now();
        sleep(Duration::from_millis(1000));
        redis.start_again();
        killed.elapsed()
    });
    was_away(&probe, truth);
}

#[test]
fn a_wrong_answer_is_an_outage_while_it_lasts() {
    let redis = Redis::start(&[]);
    let mut own = redis.connect();
    assert_eq!(ask(&mut own, "SET ready up"), "+OK");
    let probe = "redis: GET ready, checks: [{ body_equals: up }], timeout: 15s";
    let (probe, truth) = probe_while(redis.defaults(), probe, || {
        assert_eq!(ask(&mut own, "SET ready down"), "+OK");
        let began = Instant::now();
        sleep(Duration::from_millis(500));
        // An error of the server's is no better.
        assert_eq!(ask(&mut own, "DEL ready"), ":1");
        assert_eq!(ask(&mut own, "LPUSH ready up"), ":1");
        sleep(Duration::from_millis(500));
        assert_eq!(ask(&mut own, "SET ready up"), "+OK");
        began.elapsed()
    });
    was_away(&probe, truth);
    let reason = probe.fresh.outages[0].reason.as_deref().unwrap();
    assert_eq!(reason, "check: body is \"down\"");
}

#[test]
fn commands_and_connections_are_those_that_redis_counted() {
    let redis = Redis::start(&[]);
    let mut own = redis.connect();
    assert_eq!(ask(&mut own, "CONFIG RESETSTAT"), "+OK");
    let probe = probe(&redis.defaults(), &format!("redis: PING, {PATIENT}"), "1s");
    let sent = is_green(&probe);
    let commands = ask(&mut own, "INFO commandstats");
    assert_eq!(number(&commands, "cmdstat_ping:calls"), sent);
    let stats = ask(&mut own, "INFO stats");
    opened(&probe, number(&stats, "total_connections_received"));
    eventually(&1, || number(&ask(&mut redis.connect(), "INFO clients"), "connected_clients") - 1);
}

#[test]
fn what_the_set_up_has_found_is_asked_for() {
    let redis = Redis::start(&[]);
    let mut own = redis.connect();
    assert_eq!(ask(&mut own, "MSET which ready ready up"), "+OK");
    let defaults = format!(
        "{}setup: [{{ redis: GET which, extract: {{ key: {{ regex: .+ }} }} }}]\n",
        redis.defaults()
    );
    let checks = "checks: [{ body_equals: up }]";
    is_green(&probe(&defaults, &format!("redis: 'GET {{{{key}}}}', {checks}, {PATIENT}"), "1s"));
}

#[test]
fn statements_and_log_ins_are_those_that_postgresql_logged() {
    let postgres = Postgres::start(&["log_min_duration_statement=0", "log_connections=on"]);
    let written = format!(
        "postgres: SELECT 42 AS answer, checks: [{{ json: '$[0].answer', equals: 42 }}], {PATIENT}"
    );
    let probe = probe(&postgres.defaults(), &written, "1s");
    let sent = is_green(&probe);
    let lines =
        |part: &str| postgres.log().lines().filter(|line| line.contains(part)).count() as u64;
    eventually(&sent, || lines("  execute faultload-1: SELECT 42 AS answer"));
    opened(&probe, lines("application_name=faultload"));
}

#[test]
fn requests_over_http_2_are_those_of_the_access_log() {
    let nginx = Nginx::start();
    let mut seen = 0;
    for (port, more) in [
        (nginx.ports[2], "http: { version: '2' }"),
        (nginx.ports[3], "http: { version: '2', insecure: true }"),
    ] {
        let scheme = if port == nginx.ports[2] { "http" } else { "https" };
        let defaults = format!("{more}\n");
        let written = format!(
            "http: 'GET {scheme}://localhost:{port}/hello', checks: [{{ body_equals: hello }}], {PATIENT}"
        );
        let probe = probe(&defaults, &written, "1s");
        let sent = is_green(&probe);
        eventually(&sent, || nginx.log(seen).len() as u64);
        let log = nginx.log(seen);
        seen += log.len();
        assert!(log.iter().all(|line| line.protocol == "HTTP/2.0"), "{log:?}");
        let connections: BTreeSet<u64> = log.iter().map(|line| line.connection).collect();
        opened(&probe, connections.len() as u64);
    }
}

#[test]
fn lines_over_tcp_are_those_that_the_server_read() {
    let server = lines(b"PONG\r\n");
    let tcp = format!(
        "tcp: {{ address: '127.0.0.1:{}', send: \"PING\\r\\n\", until: \"\\r\\n\" }}, {PATIENT}",
        server.port
    );
    let green = probe("", &format!("{tcp}, checks: [{{ body_equals: PONG }}]"), "1s");
    let sent = is_green(&green);
    assert_eq!(server.moved(), (6 * sent, 6 * sent));
    opened(&green, server.connections());
    let red = probe("", &format!("{tcp}, checks: [{{ body_equals: pong }}]"), "1s");
    assert!(red.fresh.ok + red.pooled.ok == 0 && red.fresh.sent > 0, "{red:?}");
}

#[test]
fn a_server_that_says_nothing_is_away_to_the_end() {
    let server = Fake::start(|peer: &mut Peer| peer.hang());
    let tcp = format!("tcp: {{ address: '127.0.0.1:{}', until: x }}", server.port);
    let probe = probe("", &format!("{tcp}, timeout: 100ms"), "1s");
    for stream in [&probe.fresh, &probe.pooled] {
        let [outage] = stream.outages.as_slice() else { panic!("{stream:?}") };
        assert_eq!((outage.end_s, outage.failed, stream.ok), (None, stream.sent, 0));
        assert_eq!(stream.availability_ratio, Some(0.0));
    }
}
