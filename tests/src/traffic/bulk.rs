//! One TCP stream as fast as it goes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const CHUNK: usize = 256 * 1024;

/// Takes what connections send and counts it. Lives as long as the process.
pub struct BulkSink {
    address: SocketAddr,
    received: Arc<AtomicU64>,
}

impl BulkSink {
    /// Binds and serves.
    ///
    /// # Panics
    /// When the address cannot be bound.
    #[track_caller]
    pub fn bind(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        let address = listener.local_addr().expect("local address");
        let received = Arc::new(AtomicU64::new(0));
        let total = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let total = Arc::clone(&total);
                thread::spawn(move || swallow(stream, &total));
            }
        });
        Self { address, received }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that have arrived so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// Streams to `to` and returns the bytes per second that arrived at `sink`,
/// counted over `time` after a warm-up of a quarter of it.
///
/// # Panics
/// When the connection cannot be made.
pub fn bulk_rate(sink: &BulkSink, to: SocketAddr, time: Duration) -> f64 {
    let mut stream = TcpStream::connect(to).unwrap_or_else(|e| panic!("{to}: {e}"));
    let end = Instant::now() + time.mul_f64(1.25);
    stream.set_write_timeout(Some(time)).expect("write timeout");
    let writer = thread::spawn(move || {
        let chunk = vec![0x5a; CHUNK];
        while Instant::now() < end && stream.write_all(&chunk).is_ok() {}
    });
    thread::sleep(time.mul_f64(0.25));
    let (before, start) = (sink.received(), Instant::now());
    thread::sleep(time);
    let rate = (sink.received() - before) as f64 / start.elapsed().as_secs_f64();
    writer.join().expect("the writer");
    rate
}

fn swallow(mut stream: TcpStream, total: &AtomicU64) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(n @ 1..) = stream.read(&mut chunk) {
        total.fetch_add(n as u64, Ordering::Relaxed);
    }
}
