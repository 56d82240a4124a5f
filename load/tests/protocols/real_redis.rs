//! Redis itself: what it counts is what is reported.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    flow,
    programs::{Running, command, home},
    run, run_stages,
};

pub struct Redis {
    socket: PathBuf,
    options: Vec<String>,
    running: Running,
    dir: TempDir,
}

impl Redis {
    pub fn start(options: &[&str]) -> Self {
        let dir = home();
        let socket = dir.path().join("s");
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let running = up(dir.path(), &socket, &options);
        Self { socket, options, running, dir }
    }

    pub fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(&self.socket).unwrap())
    }

    pub fn defaults(&self) -> String {
        format!("redis: {{ address: 'unix:{}' }}\n", self.socket.display())
    }

    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Starts it once more, after it was killed.
    pub fn start_again(&mut self) {
        self.running = up(self.dir.path(), &self.socket, &self.options);
    }
}

fn up(dir: &Path, socket: &Path, options: &[String]) -> Running {
    let mut redis = command("redis-server");
    redis.args(["--port", "0", "--save", "", "--unixsocket"]).arg(socket);
    redis.arg("--dir").arg(dir).args(options);
    let mut running = Running::start(&mut redis, dir);
    assert!(running.is_up(|| UnixStream::connect(socket).is_ok()), "{}", running.said());
    running
}

/// What Redis answers to a line: strings as they are, other answers with their first byte.
pub fn ask(connection: &mut BufReader<UnixStream>, line: &str) -> String {
    connection.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    let mut head = String::new();
    connection.read_line(&mut head).unwrap();
    let head = head.trim_end();
    let Some(length) = head.strip_prefix('$') else { return head.to_owned() };
    let mut text = vec![0; length.parse::<usize>().unwrap() + 2];
    connection.read_exact(&mut text).unwrap();
    text.truncate(text.len() - 2);
    String::from_utf8(text).unwrap()
}

/// A number in what INFO answers.
pub fn number(info: &str, name: &str) -> u64 {
    let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let digits = line.trim_start_matches([':', '=']).split(',').next().unwrap();
    digits.parse().unwrap_or_else(|_| panic!("{name}: {info}"))
}

#[test]
fn commands_bytes_and_connections_are_those_that_redis_counted() {
    let redis = Redis::start(&[]);
    let mut own = redis.connect();
    assert_eq!(ask(&mut own, "CONFIG RESETSTAT"), "+OK");
    let before = ask(&mut own, "INFO stats");
    let text = format!(
        "{}flows:
  f:
    steps:
      - {{ redis: 'SET k-{{{{counter.k}}}} {{{{random.string(16)}}}}' }}
      - redis: {{ command: [INCRBY, total, 7] }}
        extract: {{ total: {{ regex: .+ }} }}
        checks: [{{ header: type, equals: integer }}, {{ json: $, above: 6 }}]
      - redis:
          pipeline: ['HSET h f {{{{total}}}}', [HGET, h, f], LRANGE nothing 0 -1]
        checks:
          - {{ json: '$[2]', equals: '[]' }}
          - {{ json: '$[0]', below: 2 }}
",
        redis.defaults()
    );
    let ran = run_stages(&text, "[{ for: 1s, rate: 100/s }, { for: 300ms, users: 3 }]");
    assert_eq!(ran.end(), "ok", "{:?}", ran.failures);
    let total = &ran.summary.total;
    let after = ask(&mut own, "INFO stats");
    let difference = |name: &str| number(&after, name) - number(&before, name);
    // The second INFO came in with what is counted, and the answer to the first one went out.
    let info = "INFO stats\r\n".len() as u64;
    let answer = format!("${}\r\n{before}\r\n", before.len()).len() as u64;
    assert_eq!(difference("total_net_input_bytes"), total.sent_bytes + info);
    assert_eq!(difference("total_net_output_bytes"), total.received_bytes + answer);
    assert_eq!(difference("total_connections_received"), total.connections.opened);

    let counts = ask(&mut own, "INFO commandstats");
    let calls = |command: &str| number(&counts, &format!("cmdstat_{command}:calls"));
    for (command, step) in [("set", 0), ("incrby", 1), ("hset", 2), ("hget", 2), ("lrange", 2)] {
        assert_eq!(calls(command), ran.step(step).ok, "{command}");
    }
    assert!(ran.step(0).ok > 100);
    assert_eq!(ask(&mut own, "DBSIZE"), format!(":{}", ran.step(0).ok + 2));
    assert_eq!(ask(&mut own, "GET total"), (7 * ran.step(1).ok).to_string());
}

#[test]
fn nil_errors_and_types_are_told_apart() {
    let redis = Redis::start(&[]);
    let one = |command: &str, checks: &str| {
        let step = format!("{{ redis: {command}, checks: [{checks}] }}");
        run(&format!("{}{}", redis.defaults(), flow(&step)))
    };
    assert_eq!(one("SET s 'a b'", "{ body_equals: OK }").end(), "ok");
    assert_eq!(one("GET s", "{ body_equals: a b }, { header: type, equals: string }").end(), "ok");
    let nil = "{ header: type, equals: nil }, { json: $, exists: false }, { body_equals: '' }";
    assert_eq!(one("GET nothing", nil).end(), "ok");
    assert_eq!(one("GET nothing", "{ header: type, differs: nil }").end(), "check");
    assert_eq!(one("{ command: [SET, j, '{\"a\":[1,{\"b\":\"x\"}]}'] }", "").end(), "ok");
    assert_eq!(one("GET j", "{ json: '$.a[1].b', equals: x }").end(), "ok");
    let wrong = one("INCR s", "");
    assert_eq!(wrong.end(), "status");
    assert!(wrong.failures[0].contains("ERR value is not an integer"), "{:?}", wrong.failures);
    let opened = wrong.summary.total.connections.opened;
    assert!(opened < wrong.summary.total.sent, "an error answer leaves the connection as it is");
    let second = one("{ pipeline: [GET s, INCR s, GET s] }", "");
    assert_eq!(second.end(), "status");
    assert!(second.failures[0].starts_with("command 2: ERR value"), "{:?}", second.failures);
    assert_eq!(
        one("{ pipeline: [MULTI, GET s, EXEC] }", "{ json: '$[2][0]', equals: a b }").end(),
        "ok"
    );
}

#[test]
fn logging_in_and_choosing_a_database() {
    let redis = Redis::start(&["--requirepass", "secret"]);
    let with = |server: &str| {
        let address = redis.socket.display();
        run(&format!(
            "redis: {{ address: 'unix:{address}', {server} }}\n{}",
            flow("{ redis: INCR n }")
        ))
    };
    let ran = with("password: secret, db: 3");
    assert_eq!(ran.end(), "ok", "{:?}", ran.failures);
    assert_eq!(with("user: default, password: secret").end(), "ok");
    let mut own = redis.connect();
    assert_eq!(ask(&mut own, "AUTH secret"), "+OK");
    assert_eq!(ask(&mut own, "GET n"), "30");
    assert_eq!(ask(&mut own, "SELECT 3"), "+OK");
    assert_eq!(ask(&mut own, "GET n"), "30");
    let refused = with("password: wrong");
    assert_eq!(refused.end(), "connect");
    assert!(refused.failures[0].contains("WRONGPASS"), "{:?}", refused.failures);
    let missing = with("db: 0");
    assert_eq!(missing.end(), "status", "NOAUTH answers the command itself");
    assert_eq!(with("password: secret, db: 99").end(), "connect");
}
