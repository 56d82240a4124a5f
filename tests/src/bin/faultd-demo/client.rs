//! The client that measures: HTTP over a plain socket, a request after the
//! other on one connection, timed by CLOCK_MONOTONIC. It knows nothing of faultd.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use faultd_tests::clock::mono_ns;

/// A request without an answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two requests.
const PAUSE: Duration = Duration::from_millis(4);

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it was sent, in nanoseconds of CLOCK_MONOTONIC.
    pub sent: u64,
    /// When the answer was there, or it was given up.
    pub done: u64,
    /// Whether there was an answer.
    pub ok: bool,
}

/// A client that keeps asking until it is dropped.
pub struct Client {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts asking.
    pub fn start(server: SocketAddr) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (into, flag) = (Arc::clone(&samples), Arc::clone(&stop));
        let worker = thread::spawn(move || {
            let mut connection = None;
            while !flag.load(Ordering::Relaxed) {
                let sent = mono_ns();
                let ok = ask(&mut connection, server).is_ok();
                if !ok {
                    connection = None;
                }
                let sample = Sample { sent, done: mono_ns(), ok };
                into.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
                thread::sleep(PAUSE);
            }
        });
        Self { samples, stop, worker: Some(worker) }
    }

    /// Requests that began and ended between two moments.
    pub fn between(&self, from: u64, to: u64) -> Vec<Sample> {
        let all = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|s| s.sent >= from && s.done <= to).copied().collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

fn ask(connection: &mut Option<TcpStream>, server: SocketAddr) -> io::Result<()> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            connection.insert(stream)
        }
    };
    stream.write_all(b"GET / HTTP/1.1\r\nhost: demo\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    // The page is one short line and ends with it.
    while !answer.ends_with(b"hello\n") {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    if answer.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
}
