//! Echo servers on threads; they stop when dropped.
//!
//! A server is bound in the namespace of the thread that makes it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often a server looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);

/// Echoes what TCP connections send.
pub struct TcpEcho {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl TcpEcho {
    /// Binds and serves; port 0 picks one.
    ///
    /// # Panics
    /// When the address cannot be bound.
    #[track_caller]
    pub fn bind(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        let address = listener.local_addr().expect("local address");
        listener.set_nonblocking(true).expect("non-blocking");
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let worker = thread::spawn(move || accept(&listener, &flag));
        Self { address, stop, worker: Some(worker) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for TcpEcho {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        join(&mut self.worker);
    }
}

fn accept(listener: &TcpListener, stop: &Arc<AtomicBool>) {
    let mut connections = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let flag = Arc::clone(stop);
                connections.push(thread::spawn(move || echo(stream, &flag)));
            }
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    for connection in connections {
        let _ = connection.join();
    }
}

/// Echoes one connection until either side ends it.
pub fn echo(mut stream: TcpStream, stop: &AtomicBool) {
    let ready = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_nodelay(true))
        .and_then(|()| stream.set_read_timeout(Some(LOOK)));
    if ready.is_err() {
        return;
    }
    super::measures();
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) if stream.write_all(&buffer[..n]).is_err() => return,
            Ok(_) => {}
            Err(e) if is_passing(e.kind()) => {}
            Err(_) => return,
        }
    }
}

/// A time-out, or a timed receive that ended early because the process was
/// frozen and thawed.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Echoes datagrams.
pub struct UdpEcho {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl UdpEcho {
    /// Binds and serves; port 0 picks one.
    ///
    /// # Panics
    /// When the address cannot be bound.
    #[track_caller]
    pub fn bind(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        super::sequence::grow_buffer(&socket);
        let address = socket.local_addr().expect("local address");
        socket.set_read_timeout(Some(LOOK)).expect("read timeout");
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let worker = thread::spawn(move || echo_datagrams(&socket, &flag));
        Self { address, stop, worker: Some(worker) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for UdpEcho {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        join(&mut self.worker);
    }
}

/// Echoes datagrams until `stop`; the socket has a read timeout.
pub fn echo_datagrams(socket: &UdpSocket, stop: &AtomicBool) {
    super::measures();
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // A reply that a fault drops is the fault's business.
            let _ = socket.send_to(&buffer[..length], from);
        }
    }
}

fn join(worker: &mut Option<JoinHandle<()>>) {
    if let Some(worker) = worker.take() {
        let _ = worker.join();
    }
}
