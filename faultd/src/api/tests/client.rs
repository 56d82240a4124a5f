//! A daemon's API on a socket of its own, and a client that sends any bytes.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::{
    api::{Listener, Server},
    config::Config,
    engine::{Engine, guardian::GuardianStatus, tests::fake::Bench},
};

/// The API over the fake kind.
pub struct Api {
    /// The engine behind it.
    pub engine: Engine,
    /// Where it listens.
    pub socket: PathBuf,
    /// The fake behind the engine.
    pub bench: Bench,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// An answer, taken apart.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// Who runs the tests may do everything.
pub fn policy_of_tester(more: &str) -> String {
    let uid = nix::unistd::geteuid();
    format!("[[allow]]\nusers = [{uid}]\n{more}\n")
}

impl Api {
    /// Serves under a policy.
    pub fn start(policy: &str) -> Self {
        let bench = Bench::new();
        let engine = bench.engine.clone();
        let socket = bench.dir.path().join("faultd.sock");
        let mut listener = Listener::bind(&socket, None).unwrap();
        let policy = Config::parse(policy).unwrap().policy();
        let server = Server::new(engine.clone(), policy, Arc::new(GuardianStatus::default()));
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    done = server.run(&mut listener) => done.unwrap(),
                    _ = stopped => {}
                }
                server.stop().await;
            });
        });
        Self { engine, socket, bench, stop: Some(stop), thread: Some(thread) }
    }

    /// As the daemon stops.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).unwrap();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    /// Sends bytes and reads until the daemon closes.
    pub fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (first, headers) = head.split_once("\r\n").unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, headers: headers.to_lowercase(), body: body.to_owned() }
    }

    pub fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: faultd\r\nconnection: close\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        self.raw(request.as_bytes())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, "content-type: application/json\r\n", body)
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, "", "")
    }

    /// Injects a fake fault and returns its id.
    pub fn inject(&self, fields: &str) -> String {
        let answer = self.post("/v1/faults", &format!("{{\"kind\":\"partition\"{fields}}}"));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop();
    }
}
