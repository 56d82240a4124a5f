//! One TCP stream as fast as it goes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

const CHUNK: usize = 256 * 1024;

/// Sends without end to whoever connects. Lives as long as the process.
///
/// The server is the one that sends, because on loopback a delay concerns what
/// comes *from* the port: this way it is the data that is held.
pub struct BulkSource {
    address: SocketAddr,
}

impl BulkSource {
    /// Binds and serves.
    ///
    /// # Panics
    /// When the address cannot be bound.
    #[track_caller]
    pub fn bind(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        let address = listener.local_addr().expect("local address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || pour(stream));
            }
        });
        Self { address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes what comes from `from` and returns bytes per second, counted over
/// `time` after a warm-up of a third of it.
///
/// # Panics
/// When the connection cannot be made or breaks.
pub fn bulk_rate(from: SocketAddr, time: Duration) -> f64 {
    let mut stream = TcpStream::connect(from).unwrap_or_else(|e| panic!("{from}: {e}"));
    stream.set_read_timeout(Some(time * 2)).expect("read timeout");
    let mut chunk = vec![0; CHUNK];
    let mut take = |until: Instant| {
        let mut taken = 0;
        while Instant::now() < until {
            let count = stream.read(&mut chunk).unwrap_or_else(|e| panic!("{from}: {e}"));
            assert!(count > 0, "{from} ended the stream");
            taken += count;
        }
        taken
    };
    take(Instant::now() + time / 3);
    let start = Instant::now();
    let taken = take(start + time);
    taken as f64 / start.elapsed().as_secs_f64()
}

fn pour(mut stream: TcpStream) {
    let chunk = vec![0x5a; CHUNK];
    while stream.write_all(&chunk).is_ok() {}
}
