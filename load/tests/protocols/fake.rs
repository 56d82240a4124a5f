//! A server that does to each connection what the test says.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// A server on a port of its own, until it is dropped.
pub struct Fake {
    pub port: u16,
    moved: Arc<(AtomicU64, AtomicU64)>,
    connections: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What a server does to a connection, and what is to come of it.
pub type Case = (fn(&mut Peer), &'static str, &'static str);

/// A connection, as the server sees it; what goes over it is counted.
pub struct Peer {
    pub stream: TcpStream,
    /// Its number, from 0.
    pub number: u64,
    moved: Arc<(AtomicU64, AtomicU64)>,
}

impl Peer {
    /// What comes next; `None` when the client has closed.
    pub fn read(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65536];
        let length = self.stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        buffer.truncate(length);
        self.moved.0.fetch_add(length as u64, Ordering::Relaxed);
        Some(buffer)
    }

    /// Says something; a client that is gone does not hear it.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if self.stream.write_all(bytes).is_ok() {
            self.moved.1.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }

    /// Waits for the client to have had enough.
    pub fn hang(&mut self) {
        while self.read().is_some() {}
    }
}

impl Fake {
    /// Does `serve` to each connection, which ends with it.
    pub fn start(serve: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let moved = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let (stop, connections) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let serve = Arc::new(serve);
        let shared = (Arc::clone(&moved), Arc::clone(&stop), Arc::clone(&connections));
        let thread = thread::spawn(move || {
            let (moved, stop, connections): (_, _, Arc<AtomicU64>) = shared;
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                stream.set_nodelay(true).unwrap();
                let number = connections.fetch_add(1, Ordering::Relaxed);
                let (serve, moved) = (Arc::clone(&serve), Arc::clone(&moved));
                thread::spawn(move || serve(&mut Peer { stream, number, moved }));
            }
        });
        Self { port, moved, connections, stop, thread: Some(thread) }
    }

    /// Bytes that it has read and written.
    pub fn moved(&self) -> (u64, u64) {
        (self.moved.0.load(Ordering::Relaxed), self.moved.1.load(Ordering::Relaxed))
    }

    /// Connections that it has taken.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
        self.thread.take().unwrap().join().unwrap();
    }
}
