//! nginx: what is reported agrees with its access log.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixListener,
    thread::{self, sleep},
    time::Duration,
};

use nix::unistd::geteuid;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::{
    flow,
    programs::{Running, command, eventually, home},
    run, run_stages,
};

pub struct Nginx {
    /// Ports of HTTP/1.1, HTTP/1.1 over TLS, HTTP/2, HTTP/2 over TLS.
    pub ports: [u16; 4],
    _reserved: Vec<TcpSocket>,
    _running: Running,
    dir: TempDir,
}

/// A line of the access log.
#[derive(Debug, Clone)]
pub struct Line {
    status: u16,
    sent: u64,
    received: u64,
    body: u64,
    seconds: f64,
    pub protocol: String,
    pub connection: u64,
}

/// A port that is nobody else's as long as the socket lives: nginx listens beside it.
fn reserve() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// Answers requests for `/MS` after so many milliseconds.
fn sleeper(listener: &UnixListener) {
    while let Ok((mut stream, _)) = listener.accept() {
        thread::spawn(move || {
            let mut text = Vec::new();
            let mut buffer = [0; 4096];
            while !text.windows(4).any(|four| four == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(n @ 1..) => text.extend_from_slice(&buffer[..n]),
                    _ => return,
                }
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default();
            sleep(Duration::from_millis(path.trim_start_matches('/').parse().unwrap_or(0)));
            let _sent = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        });
    }
}

impl Nginx {
    pub fn start() -> Self {
        let dir = home();
        let path = dir.path().display();
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(dir.path().join("crt"), key.cert.pem()).unwrap();
        fs::write(dir.path().join("key"), key.signing_key.serialize_pem()).unwrap();
        let backend = UnixListener::bind(dir.path().join("backend")).unwrap();
        thread::spawn(move || sleeper(&backend));
        let (reserved, ports): (Vec<_>, Vec<u16>) = (0..4).map(|_| reserve()).unzip();
        let user = if geteuid().is_root() { "user root;" } else { "" };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {path}/{name};\n"))
            .collect();
        let listen = |port: u16, more: &str| format!("listen 127.0.0.1:{port}{more} reuseport;");
        let server = |one: String, two: String| {
            format!(
                "server {{ {one} {two} ssl_certificate {path}/crt; ssl_certificate_key {path}/key;
                   location = /hello {{ return 200 hello; }}
                   location = /missing {{ return 404; }}
                   location = /busy {{ return 503; }}
                   location /after/ {{ proxy_pass http://unix:{path}/backend:/; }} }}\n"
            )
        };
        let text = format!(
            "daemon off; {user} worker_processes 1; pid {path}/pid; error_log {path}/errors;
             events {{ worker_connections 2048; }}
             http {{
             log_format figures '$status $bytes_sent $request_length $body_bytes_sent $request_time $server_protocol $connection';
             access_log {path}/access figures;
             keepalive_requests 1000000; {temporary} {} {} }}\n",
            server(listen(ports[0], ""), listen(ports[1], " ssl")),
            server(listen(ports[2], " http2"), listen(ports[3], " ssl http2")),
        );
        fs::write(dir.path().join("conf"), text).unwrap();
        let mut nginx = command("nginx");
        nginx.arg("-e").arg(dir.path().join("errors")).arg("-p").arg(dir.path());
        nginx.arg("-c").arg(dir.path().join("conf"));
        let mut running = Running::start(&mut nginx, dir.path());
        let up = || std::net::TcpStream::connect(("127.0.0.1", ports[0])).is_ok();
        assert!(running.is_up(up), "{}", running.said());
        let ports = [ports[0], ports[1], ports[2], ports[3]];
        Self { ports, _reserved: reserved, _running: running, dir }
    }

    /// The access log from a line on, whole lines alone.
    pub fn log(&self, from: usize) -> Vec<Line> {
        let text = fs::read_to_string(self.dir.path().join("access")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().skip(from).map(parse).collect()
    }
}

fn parse(line: &str) -> Line {
    let fields: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| fields[at].parse().unwrap();
    Line {
        status: fields[0].parse().unwrap(),
        sent: number(1),
        received: number(2),
        body: number(3),
        seconds: fields[4].parse().unwrap(),
        protocol: fields[5].to_owned(),
        connection: number(6),
    }
}

#[test]
fn counts_statuses_bytes_and_latencies_are_those_of_the_access_log() {
    let nginx = Nginx::start();
    let mut seen = 0;
    for (at, (scheme, version)) in
        [("http", "1.1"), ("https", "1.1"), ("http", "2"), ("https", "2")].into_iter().enumerate()
    {
        let port = nginx.ports[at];
        let text = format!(
            "target: {scheme}://localhost:{port}
http: {{ insecure: true, version: '{version}' }}
flows:
  quick: {{ weight: 6, steps: [{{ http: GET /hello, checks: [{{ body_equals: hello }}] }}] }}
  missing: {{ weight: 1, steps: [{{ http: GET /missing, expect: 404 }}] }}
  busy: {{ weight: 1, steps: [{{ http: GET /busy }}] }}
  slow: {{ weight: 2, steps: [{{ http: {{ url: /after/120, body: '{{{{random.string(50)}}}}' }} }}] }}
"
        );
        let ran = run_stages(&text, "[{ for: 2s, rate: 150/s }]");
        let total = &ran.summary.total;
        assert_eq!(total.sent, 300, "{:?}", ran.failures);
        eventually(&300, || nginx.log(seen).len());
        let log = nginx.log(seen);
        seen += log.len();

        let count = |status: u16| log.iter().filter(|line| line.status == status).count() as u64;
        for (status, reported) in &total.statuses {
            assert_eq!(count(status.parse().unwrap()), *reported, "{status}: {:?}", total.statuses);
        }
        assert_eq!(total.statuses.values().sum::<u64>(), 300);
        assert_eq!(
            (total.failed, kinds(total)),
            (count(503), vec!["status"]),
            "{:?}",
            ran.failures
        );
        let protocol = if version == "2" { "HTTP/2.0" } else { "HTTP/1.1" };
        assert!(log.iter().all(|line| line.protocol == protocol));

        let sum = |field: fn(&Line) -> u64| log.iter().map(field).sum::<u64>();
        if version == "1.1" {
            assert_eq!(total.received_bytes, sum(|line| line.sent));
            assert_eq!(total.sent_bytes, sum(|line| line.received));
            let mut connections: Vec<u64> = log.iter().map(|line| line.connection).collect();
            connections.sort_unstable();
            connections.dedup();
            assert_eq!(total.connections.opened, connections.len() as u64);
        } else {
            // Settings, windows and acknowledgements are no request's.
            let (least, most) = (sum(|line| line.body), sum(|line| line.sent) + 300 * 100);
            assert!((least..most).contains(&total.received_bytes), "{least} {most} {total:?}");
        }

        let mut times: Vec<f64> = log.iter().map(|line| line.seconds * 1000.0).collect();
        times.sort_by(f64::total_cmp);
        let service = &total.service_time;
        let lag = ran.summary.fitness.lag.max_ms.unwrap();
        for (share, reported) in
            [(0.5, service.p50_ms), (0.9, service.p90_ms), (0.99, service.p99_ms)]
        {
            let logged = times[(share * 299.0) as usize];
            let reported = reported.unwrap();
            // nginx looks at its clock once a turn; and on a busy machine both are kept waiting for a
            // processor, of which the generator's lag tells.
            let wide = logged - 15.0..logged + 150.0 + 3.0 * lag;
            assert!(wide.contains(&reported), "{share}: {reported} ms, nginx says {logged} ms");
        }
        assert!(service.p90_ms.unwrap() > 100.0, "a fifth is answered after 120 ms: {service:?}");
    }
}

#[test]
fn plain_bytes_go_through_tls_too() {
    let nginx = Nginx::start();
    let with = |more: &str| {
        let step = format!(
            "{{ tcp: {{ address: 'localhost:{}', send: \"GET /hello HTTP/1.0\\r\\n\\r\\n\", until_close: true, {more} }},
               checks: [{{ body_matches: '^HTTP/1.1 200 [^}}]*hello$' }}] }}",
            nginx.ports[1]
        );
        run(&flow(&step))
    };
    let ran = with("tls: true, insecure: true");
    assert_eq!(ran.end(), "ok", "{:?}", ran.failures);
    eventually(&30, || nginx.log(0).len());
    let sent: u64 = nginx.log(0).iter().map(|line| line.sent).sum();
    assert_eq!(ran.summary.total.received_bytes, sent);
    assert_eq!(with("tls: true").end(), "tls", "nobody has signed for it");
}

fn kinds(total: &faultload::summary::Stats) -> Vec<&str> {
    total.errors.keys().map(String::as_str).collect()
}
