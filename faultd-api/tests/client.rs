//! The client against sockets that behave well, badly, or not at all.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test like its own lines do")]

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use faultd_api::{
    Target,
    client::{Client, ClientError, Next, Unreachable},
};
use tempfile::TempDir;

struct Peer {
    dir: TempDir,
    listener: UnixListener,
}

impl Peer {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("sock")).unwrap();
        Self { dir, listener }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    /// Serves one call: reads its head, then does what the test says.
    fn serve(
        &self,
        then: impl FnOnce(&mut UnixStream) + Send + 'static,
    ) -> thread::JoinHandle<String> {
        let listener = self.listener.try_clone().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let head = BufReader::new(&stream)
                .lines()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect::<Vec<_>>()
                .join("\n");
            then(&mut stream);
            head
        })
    }

    fn client(&self) -> Client {
        Client::new(self.socket()).unwrap()
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_daemon_that_hangs_is_given_up() {
    let peer = Peer::new();
    let client = peer.client().with_timeout(Duration::from_millis(100));
    // Accepted by the kernel, never by the peer: what a stopped daemon does.
    let begin = Instant::now();
    let error = client.health().unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(5));
    let ClientError::NotReachable { socket, why: Unreachable::Silent(after) } = error else {
        panic!("{error}")
    };
    assert_eq!((socket, after), (peer.socket(), Duration::from_millis(100)));
}

#[test]
fn a_full_backlog_is_given_up_as_well() {
    let peer = Peer::new();
    let client = peer.client().with_timeout(Duration::from_millis(100));
    // listen(2) of the standard library asks for 128; unix sockets queue one more.
    let queued: Vec<_> = (0..200)
        .map_while(|_| {
            let stream = nonblocking(&peer.socket());
            stream.ok()
        })
        .collect();
    assert!(!queued.is_empty());
    let error = client.health().unwrap_err();
    let silent = matches!(error, ClientError::NotReachable { why: Unreachable::Silent(_), .. });
    assert!(silent, "{error}");
}

/// Connects without waiting for a place in the backlog.
fn nonblocking(path: &std::path::Path) -> nix::Result<std::os::fd::OwnedFd> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    use std::os::fd::AsRawFd;
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

#[test]
fn problems_keep_their_type() {
    let peer = Peer::new();
    let body = r#"{"type":"urn:faultd:not-supported","title":"t","status":501,"detail":"no fq"}"#;
    let text = answer("501 Not Implemented", body);
    let served = peer.serve(move |stream| stream.write_all(text.as_bytes()).unwrap());
    let error = peer.client().show("f-1").unwrap_err();
    assert_eq!(error.to_string(), "no fq");
    let ClientError::Problem(problem) = error else { panic!("{error}") };
    assert_eq!(problem.exit_code(), 5);
    assert!(served.join().unwrap().starts_with("GET /v1/faults/f-1 HTTP/1.1\n"));
}

#[test]
fn a_target_travels_in_the_query() {
    let peer = Peer::new();
    let text = answer("200 OK", r#"{"target":{"name":"a b"},"rules":[],"effect":"untouched"}"#);
    let served = peer.serve(move |stream| stream.write_all(text.as_bytes()).unwrap());
    let target = Target { name: Some("a b".into()), ..Target::default() };
    assert_eq!(peer.client().explain(&target).unwrap().target, target);
    assert!(served.join().unwrap().starts_with("GET /v1/explain?name=a+b HTTP/1.1\n"));
}

const EVENT: &str = r#"{"seq":SEQ,"at":"2026-11-21T10:00:00Z","event":"active","fault":{
    "id":"f-1","kind":"loss","params":{},"target":{},"state":"active","backend":"tc","label":null,
    "seed":1,"owner":{"uid":0},"created_at":"2026-11-21T10:00:00Z",
    "expires_at":"2026-11-21T10:00:00Z","active_at":null,"ended_at":null,"end_reason":null,
    "active_mono_ns":null,"ended_mono_ns":null,"counters":{"matched":0,"affected":0},
    "achieved":{}}}"#;

fn chunk(stream: &mut UnixStream, text: &str) {
    write!(stream, "{:x}\r\n{text}\r\n", text.len()).unwrap();
}

#[test]
fn events_come_as_they_happen() {
    let peer = Peer::new();
    let served = peer.serve(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        let event =
            |seq: &str| format!("data: {}\n\n", EVENT.replace('\n', "").replace("SEQ", seq));
        let (first, second) = (event("7"), event("8"));
        // Cut in the middle of the second event, with a pause.
        chunk(stream, &format!(": hello\n\n{first}{}", &second[..50]));
        thread::sleep(Duration::from_millis(300));
        chunk(stream, &second[50..]);
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let client = peer.client();
    let mut events = client.events(true).unwrap();
    let wait = Duration::from_millis(100);
    let Next::Event(event) = events.next_within(wait).unwrap() else { panic!("no event") };
    assert_eq!(event.seq, 7);
    assert_eq!(events.next_within(wait).unwrap(), Next::Quiet);
    assert_eq!(events.next().unwrap().unwrap().seq, 8);
    assert!(events.next().is_none());
    assert_eq!(events.next_within(wait).unwrap(), Next::End);
    served.join().unwrap();
}

#[test]
fn a_stream_that_breaks_is_told_from_one_that_ends() {
    let peer = Peer::new();
    let served = peer.serve(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        chunk(stream, ": hello\n\n");
    });
    let client = peer.client();
    let mut events = client.events(true).unwrap();
    let error = events.next().unwrap().unwrap_err();
    let closed = matches!(error, ClientError::NotReachable { why: Unreachable::Closed(_), .. });
    assert!(closed, "{error}");
    assert!(events.next().is_none());
    served.join().unwrap();
}

#[test]
fn who_may_not_connect_learns_which_group_may() {
    let denied = |group: Option<&str>| {
        let group = group.map(str::to_owned);
        ClientError::PermissionDenied { socket: "/run/faultd/faultd.sock".into(), group }
            .to_string()
    };
    assert_eq!(
        denied(Some("faultd")),
        "not permitted to open /run/faultd/faultd.sock: only root and the group faultd may; join \
         it (`usermod -aG faultd USER`, then log in again) or run this as root"
    );
    let alone = "not permitted to open /run/faultd/faultd.sock: run this as root, or make a group \
                 faultd (`groupadd --system faultd`), restart faultd and join it";
    assert_eq!((denied(None).as_str(), denied(Some("root")).as_str()), (alone, alone));
}
