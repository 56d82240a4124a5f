//! Round trips as an application sees them, on a connection that stays open.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use crate::{clock::mono_ns, slowly};

/// Measures round trips to an echo server.
pub struct Pinger {
    line: Line,
    next: u64,
}

enum Line {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Line {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(message),
            Self::Udp(socket) => socket.send(message).map(drop),
        }
    }

    /// The next message.
    fn receive(&mut self, deadline: Instant) -> io::Result<[u8; 8]> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut message = [0; 8];
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(left))?;
                stream.read_exact(&mut message)?;
            }
            Self::Udp(socket) => {
                socket.set_read_timeout(Some(left))?;
                // Freezing and thawing a process ends a timed receive early.
                while let Err(e) = socket.recv(&mut message) {
                    if e.kind() != io::ErrorKind::Interrupted {
                        return Err(e);
                    }
                }
            }
        }
        Ok(message)
    }
}

impl Pinger {
    /// Connects over TCP, with a limit of 5 s (stretched on slow machines).
    ///
    /// # Panics
    /// When it cannot connect.
    #[track_caller]
    pub fn tcp(to: SocketAddr) -> Self {
        Self::try_tcp(to, slowly(Duration::from_secs(5))).unwrap_or_else(|e| panic!("{to}: {e}"))
    }

    /// Connects over TCP.
    ///
    /// # Errors
    /// When it cannot within the limit.
    pub fn try_tcp(to: SocketAddr, limit: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, limit)?;
        stream.set_nodelay(true)?;
        Ok(Self { line: Line::Tcp(stream), next: 0 })
    }

    /// A connected UDP socket.
    ///
    /// # Panics
    /// When the address cannot be reached at all.
    #[track_caller]
    pub fn udp(to: SocketAddr) -> Self {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).expect("a UDP socket");
        socket.connect(to).unwrap_or_else(|e| panic!("{to}: {e}"));
        Self { line: Line::Udp(socket), next: 0 }
    }

    /// The client's own address.
    ///
    /// # Panics
    /// When the socket has none.
    pub fn local(&self) -> SocketAddr {
        match &self.line {
            Line::Tcp(stream) => stream.local_addr(),
            Line::Udp(socket) => socket.local_addr(),
        }
        .expect("local address")
    }

    /// One round trip in nanoseconds; `None` when no answer comes within
    /// `limit`, which is taken as it is.
    pub fn ping_within(&mut self, limit: Duration) -> Option<u64> {
        self.try_ping(limit).ok()
    }

    /// One round trip in nanoseconds.
    ///
    /// # Errors
    /// When no answer comes within `limit`, or the connection breaks.
    pub fn try_ping(&mut self, limit: Duration) -> io::Result<u64> {
        let message = self.next.to_be_bytes();
        self.next += 1;
        let start = mono_ns();
        self.line.send(&message)?;
        let deadline = Instant::now() + limit;
        // The answer to an earlier message may come first.
        while self.line.receive(deadline)? != message {}
        Ok(mono_ns() - start)
    }

    /// One round trip that has to succeed within 10 s (stretched).
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn ping(&mut self) -> u64 {
        let limit = slowly(Duration::from_secs(10));
        self.try_ping(limit).unwrap_or_else(|e| panic!("no answer within {limit:?}: {e}"))
    }

    /// So many round trips, one after the other.
    #[track_caller]
    pub fn series(&mut self, count: usize) -> Vec<u64> {
        super::measures();
        (0..count).map(|_| self.ping()).collect()
    }
}

/// The middle value.
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn median(values: &[u64]) -> u64 {
    percentile(values, 50.0)
}

/// The value that `percent` of all values do not exceed (nearest rank).
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn percentile(values: &[u64], percent: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    *sorted.get(rank.saturating_sub(1)).expect("at least one value")
}
