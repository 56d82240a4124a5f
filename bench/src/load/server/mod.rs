//! A server that knows what happened to it: one thread, which logs when each request came, and
//! which can stall and go away.

mod event_loop;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use super::limits::{Side, on};
use event_loop::{Loop, listening};

/// What the server has seen.
#[derive(Debug, Default, Clone)]
pub struct Log {
    /// When each request was read.
    pub requests: Vec<Instant>,
    /// From reading a request to writing the first event of its stream, in milliseconds.
    pub first_events_ms: Vec<f64>,
    /// From one event to the next, in milliseconds.
    pub between_ms: Vec<f64>,
}

/// Does this to the server, once.
#[derive(Debug)]
enum Order {
    Stall(Duration),
    Away(Duration),
}

/// The server, on the server's core, until it is dropped.
pub struct Server {
    port: u16,
    log: Arc<Mutex<Log>>,
    orders: mpsc::Sender<Order>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it; a path that begins with `/s` is answered with a stream.
    pub fn start() -> Self {
        let (orders, obey) = mpsc::channel();
        let (log, stop) = (Arc::<Mutex<Log>>::default(), Arc::<AtomicBool>::default());
        let listener = listening(0);
        let port = listener.local_addr().expect("it is bound").port();
        let (seen, stopped) = (Arc::clone(&log), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            on(Side::Server, || Loop::new(listener, port).run(&seen, &obey, &stopped));
        });
        Self { port, log, orders, stop, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, with `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// It does nothing for so long, from now.
    pub fn stall(&self, length: Duration) {
        self.orders.send(Order::Stall(length)).expect("the server runs");
    }

    /// It resets all connections, and refuses any for so long.
    pub fn away(&self, length: Duration) {
        self.orders.send(Order::Away(length)).expect("the server runs");
    }

    /// What it has seen so far; it forgets that.
    pub fn take_log(&self) -> Log {
        // It hands it over when it turns to something else.
        sleep(Duration::from_millis(100));
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}
