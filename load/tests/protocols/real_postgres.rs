//! PostgreSQL itself: its tables, its statistics and its log agree with what is reported.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    flow,
    programs::{Running, command, eventually, hand_over, home, unprivileged},
    run, run_stages,
};

/// Who logs in how, over the socket and over TCP.
const HBA: &str = "\
local all scram scram-sha-256
local all md5 md5
local all plain password
local all all trust
host all scram 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
";

pub struct Postgres {
    running: Option<Running>,
    dir: TempDir,
    options: Vec<String>,
}

impl Postgres {
    pub fn start(options: &[&str]) -> Self {
        let dir = home();
        let data = dir.path().join("data");
        let mut initdb = command("initdb");
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]);
        initdb.args(["--no-sync", "-D"]).arg(&data);
        let made = unprivileged(&mut initdb).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::write(data.join("pg_hba.conf"), HBA).unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut postgres = Self { running: None, dir, options };
        postgres.up();
        postgres
    }

    fn up(&mut self) {
        assert!(self.try_up(), "{}", self.log());
    }

    /// Starts it; false if it ends at once.
    fn try_up(&mut self) -> bool {
        self.try_up_on(5432)
    }

    /// The same on another port, which is part of the name of the socket.
    fn try_up_on(&mut self, port: u16) -> bool {
        let mut server = command("postgres");
        server.arg("-D").arg(self.dir.path().join("data")).arg("-k").arg(self.dir.path());
        server.arg("-p").arg(port.to_string());
        for option in ["fsync=off", "shared_buffers=16MB", "listen_addresses=", "jit=off"] {
            server.args(["-c", option]);
        }
        for option in &self.options {
            server.args(["-c", option]);
        }
        let running = Running::start(unprivileged(&mut server), self.dir.path());
        self.running = Some(running);
        let dir = self.dir.path().to_owned();
        let ready = || {
            UnixStream::connect(dir.join(format!(".s.PGSQL.{port}"))).is_ok()
                && psql(&dir, port, "SELECT 1").is_ok()
        };
        self.running.as_mut().unwrap().is_up(ready)
    }

    fn down(&mut self) {
        self.running = None;
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("said")).unwrap_or_default()
    }

    /// What the server's own client finds.
    fn ask(&self, sql: &str) -> String {
        psql(self.dir.path(), 5432, sql).unwrap()
    }

    pub fn defaults(&self) -> String {
        let socket = self.dir.path().display();
        format!("postgres: {{ url: postgres://postgres@localhost/postgres, socket: {socket} }}\n")
    }
}

fn psql(dir: &Path, port: u16, sql: &str) -> Result<String, String> {
    let mut psql = command("psql");
    psql.env("PGPORT", port.to_string());
    psql.args(["-X", "-A", "-t", "-U", "postgres", "-d", "postgres", "-c", sql, "-h"]).arg(dir);
    let output = psql.output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn rows_statements_and_connections_are_those_that_postgresql_counted() {
    let postgres = Postgres::start(&["log_min_duration_statement=0", "log_connections=on"]);
    postgres.ask("CREATE TABLE t (id bigint PRIMARY KEY, who int, name text, at timestamptz, price numeric(10, 2))");
    let text = format!(
        "{}flows:
  f:
    steps:
      - name: insert
        postgres:
          query: INSERT INTO t VALUES ($1, $2, $3, now(), $4) RETURNING id, price
          params: [\"{{{{counter.id}}}}\", \"{{{{user}}}}\", 'O''Brien \"{{{{random.string(5)}}}}\"', 10.50]
        extract: {{ id: '$[0].id' }}
        checks: [{{ header: rows, equals: 1 }}, {{ json: '$[0].price', equals: '10.50' }}]
      - name: select
        postgres: {{ query: 'SELECT *, id > 0 AS b, NULL AS n FROM t WHERE id = $1', params: ['{{{{id}}}}'] }}
        checks:
          - {{ json: '$[0].id', equals: '{{{{id}}}}' }}
          - {{ json: '$[0].b', equals: 'true' }}
          - {{ json: '$[0].n', equals: 'null' }}
          - {{ json: '$[0].name', matches: \"^O'Brien\" }}
          - {{ header: command, equals: SELECT 1 }}
      - name: update
        postgres: {{ query: UPDATE t SET name = $1 WHERE id = $2, params: [null, '{{{{id}}}}'] }}
        checks: [{{ header: rows, equals: 1 }}, {{ body_equals: '[]' }}]
",
        postgres.defaults()
    );
    let ran = run_stages(&text, "[{ for: 1s, rate: 60/s }, { for: 300ms, users: 3 }]");
    assert_eq!(ran.end(), "ok", "{:?}", ran.failures);
    let [insert, select, update] = [0, 1, 2].map(|step| ran.step(step).ok);
    assert!(insert >= 60);
    assert_eq!(
        postgres.ask("SELECT count(*), count(name) FROM t"),
        format!("{insert}|{}", insert - update)
    );
    eventually(&format!("{insert}|{update}"), || {
        postgres.ask("SELECT n_tup_ins, n_tup_upd FROM pg_stat_user_tables WHERE relname = 't'")
    });
    let log = postgres.log();
    let lines = |part: &str| log.lines().filter(|line| line.contains(part)).count() as u64;
    let executed: u64 = (1..=3).map(|n| lines(&format!("  execute faultload-{n}: "))).sum();
    assert_eq!(executed, insert + select + update);
    let opened = ran.summary.total.connections.opened;
    assert_eq!(lines("application_name=faultload"), opened);
    let parsed = lines("  parse faultload-1: ");
    assert!((1..=opened).contains(&parsed), "{parsed}: once a connection");
    assert!(opened < insert);
}

#[test]
fn sql_errors_are_told_with_their_state_and_leave_the_connection() {
    let postgres = Postgres::start(&[]);
    postgres.ask("CREATE TABLE t (id int PRIMARY KEY)");
    postgres.ask("INSERT INTO t VALUES (1)");
    for (query, state) in [
        ("INSERT INTO t VALUES (1)", "SQLSTATE 23505: duplicate key value"),
        ("SELEKT 1", "SQLSTATE 42601: syntax error"),
        ("SELECT 1/(id - 1) FROM t", "SQLSTATE 22012: division by zero"),
        ("SELECT 1; SELECT 2", "SQLSTATE 42601: cannot insert multiple commands"),
    ] {
        let text =
            format!("{}{}", postgres.defaults(), flow(&format!("{{ postgres: '{query}' }}")));
        let ran = run_stages(&text, "[{ for: 200ms, users: 1 }]");
        assert_eq!(ran.end(), "status", "{query}");
        assert!(ran.failures[0].starts_with(state), "{:?}", ran.failures);
        assert_eq!(ran.summary.total.connections.opened, 1, "{query}");
    }
    let step = "{ postgres: { query: 'SELECT $1::int + 1 AS n', params: [x] } }";
    let ran = run(&format!("{}{}", postgres.defaults(), flow(step)));
    assert!(ran.failures[0].starts_with("SQLSTATE 22P02"), "{:?}", ran.failures);
    // A table that changes under a prepared statement costs one failure a connection.
    let steps = "[{ postgres: ALTER TABLE t ADD COLUMN c int }, { postgres: SELECT * FROM t, may_fail: true }, \
                  { postgres: ALTER TABLE t DROP COLUMN c }, { postgres: SELECT * FROM t, may_fail: true }]";
    let ran = run_stages(
        &format!("{}flows: {{ f: {{ steps: {steps} }} }}", postgres.defaults()),
        "[{ for: 300ms, users: 1 }]",
    );
    assert!(ran.step(1).ok + ran.step(3).ok > 0, "{:?}", ran.summary.total);
    assert!(ran.failures.iter().all(|text| text.contains("0A000")), "{:?}", ran.failures);
}

#[test]
fn a_transaction_does_not_outlive_its_flow() {
    let postgres = Postgres::start(&[]);
    postgres.ask("CREATE TABLE t (id int PRIMARY KEY)");
    let steps = "[{ postgres: BEGIN }, { postgres: { query: INSERT INTO t VALUES ($1), params: ['{{counter.n}}'] } }, \
                  { postgres: 'SELECT 1/0' }, { postgres: COMMIT }]";
    let text = format!("{}flows: {{ f: {{ steps: {steps} }} }}", postgres.defaults());
    let ran = run_stages(&text, "[{ for: 300ms, users: 1 }]");
    assert_eq!(ran.step(0).ok, ran.step(0).sent, "{:?}", ran.failures);
    // The run may end between two steps.
    assert!(ran.step(2).failed > 2 && ran.step(2).failed + 1 >= ran.step(0).ok);
    assert_eq!(ran.failures.len(), 1, "{:?}", ran.failures);
    assert_eq!(postgres.ask("SELECT count(*) FROM t"), "0");
}

#[test]
fn a_restart_is_survived_and_what_was_acknowledged_is_there() {
    let mut postgres = Postgres::start(&[]);
    postgres.ask("CREATE TABLE t (id int PRIMARY KEY)");
    let text = format!(
        "{}{}",
        postgres.defaults(),
        flow(
            "{ postgres: { query: INSERT INTO t VALUES ($1), params: ['{{counter.n}}'] }, timeout: 2s }"
        )
    );
    let (tell, told) = std::sync::mpsc::channel();
    let load = thread::spawn(move || {
        tell.send(()).unwrap();
        run_stages(&text, "[{ for: 6s, rate: 50/s }]")
    });
    told.recv().unwrap();
    let begun = Instant::now();
    sleep(Duration::from_millis(1200));
    postgres.down();
    sleep(Duration::from_millis(300));
    postgres.up();
    let back = begun.elapsed();
    let ran = load.join().unwrap();
    let total = &ran.summary.total;
    assert!(total.failed > 0 && total.ok > 20, "{total:?}");
    let known = ["connect", "reset", "timeout", "truncated"];
    assert!(total.errors.keys().all(|kind| known.contains(&kind.as_str())), "{:?}", ran.failures);
    let last = ran.summary.timeline.iter().rev().find(|row| row.due > 0).unwrap();
    // On a machine that is busy a start may take all the time that is left.
    assert!(last.ok > 0 || back > Duration::from_secs(5), "it is back after {back:?}: {last:?}");
    let rows: u64 = postgres.ask("SELECT count(*) FROM t").parse().unwrap();
    assert!((total.ok..=total.ok + total.failed).contains(&rows), "{rows} rows, {total:?}");
}

#[test]
fn logging_in_in_each_way() {
    let postgres = Postgres::start(&[]);
    postgres.ask("CREATE ROLE scram LOGIN PASSWORD 'p:w@1'");
    postgres.ask("CREATE ROLE plain LOGIN PASSWORD 'p:w@1'");
    let md5 = "SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD 'p:w@1'";
    postgres.ask(md5);
    let socket = postgres.dir.path().display();
    let with = |user: &str| {
        let server = format!(
            "postgres: {{ url: 'postgres://{user}@localhost/postgres', socket: {socket} }}"
        );
        run(&format!(
            "{server}\n{}",
            flow(
                "{ postgres: SELECT current_user, checks: [{ json: '$[0].current_user', exists: true }] }"
            )
        ))
    };
    for user in ["scram", "md5", "plain"] {
        let ran = with(&format!("{user}:p%3Aw%401"));
        assert_eq!(ran.end(), "ok", "{user}: {:?}", ran.failures);
        let refused = with(&format!("{user}:wrong"));
        assert_eq!(refused.end(), "connect", "{user}");
        assert!(refused.failures[0].contains("SQLSTATE 28P01"), "{:?}", refused.failures);
        let missing = with(user);
        assert!(missing.failures[0].contains("asks for a password"), "{:?}", missing.failures);
    }
}

#[test]
fn over_tls() {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    // Somebody else may take the port between the look and the start.
    let postgres = (0..5).find_map(|_| {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut postgres = Postgres::start(&[]);
        postgres.down();
        let data = postgres.dir.path().join("data");
        for (name, text) in
            [("server.crt", key.cert.pem()), ("server.key", key.signing_key.serialize_pem())]
        {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            hand_over(&path);
        }
        postgres.options = vec!["ssl=on".into(), "listen_addresses=127.0.0.1".into()];
        postgres.try_up_on(free).then_some((postgres, free))
    });
    let (_postgres, port) = postgres.expect("a free port");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    let with = |user: &str, mode: &str| {
        let step = "{ postgres: 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()', checks: [{ json: '$[0].ssl', equals: 'true' }] }";
        run(&format!(
            "postgres: {{ url: 'postgres://{user}@127.0.0.1:{port}/postgres?sslmode={mode}' }}\n{}",
            flow(step)
        ))
    };
    assert_eq!(with("postgres", "require").end(), "ok");
    assert_eq!(with("postgres", "verify-full").end(), "tls");
    assert_eq!(with("postgres", "disable").end(), "check");
}
