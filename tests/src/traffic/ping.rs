//! Round trips as an application sees them, on a connection that stays open.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    thread,
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
        let number = self.next;
        self.next += 1;
        let message = number.to_be_bytes();
        let start = mono_ns();
        let deadline = Instant::now() + limit;
        let mut answer = [0; 8];
        match &mut self.line {
            Line::Tcp(stream) => {
                stream.write_all(&message).ok()?;
                // The answer to an earlier message may come first.
                loop {
                    stream.set_read_timeout(Some(left(deadline)?)).ok()?;
                    stream.read_exact(&mut answer).ok()?;
                    if answer == message {
                        break;
                    }
                }
            }
            Line::Udp(socket) => {
                socket.send(&message).ok()?;
                loop {
                    socket.set_read_timeout(Some(left(deadline)?)).ok()?;
                    match socket.recv(&mut answer) {
                        Ok(8) if answer == message => break,
                        Ok(_) => {}
                        Err(_) => return None,
                    }
                }
            }
        }
        Some(mono_ns() - start)
    }

    /// One round trip that has to succeed within 10 s (stretched).
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn ping(&mut self) -> u64 {
        let limit = slowly(Duration::from_secs(10));
        self.ping_within(limit).unwrap_or_else(|| panic!("no answer within {limit:?}"))
    }

    /// So many round trips, one after the other.
    #[track_caller]
    pub fn series(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.ping()).collect()
    }
}

/// Sends `count` datagrams to an echo server, one each `interval` whether or
/// not answers are there, and returns each one's round trip in nanoseconds.
///
/// # Panics
/// When the socket cannot be made.
pub fn spread_delays(to: SocketAddr, count: usize, interval: Duration) -> Vec<Option<u64>> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).expect("a UDP socket");
    super::sequence::grow_buffer(&socket);
    socket.connect(to).unwrap_or_else(|e| panic!("{to}: {e}"));
    socket.set_read_timeout(Some(slowly(Duration::from_secs(2)))).expect("read timeout");
    let sender = socket.try_clone().expect("a second handle");
    let sending = thread::spawn(move || {
        let start = Instant::now();
        for i in 0..count {
            let due = start + interval * i as u32;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let mut message = [0; 16];
            message[..8].copy_from_slice(&(i as u64).to_be_bytes());
            message[8..].copy_from_slice(&mono_ns().to_be_bytes());
            let _ = sender.send(&message);
        }
    });
    let mut delays = vec![None; count];
    let mut message = [0; 16];
    let mut missing = count;
    while missing > 0 {
        match socket.recv(&mut message) {
            Ok(16) => {}
            Ok(_) => continue,
            // Nothing for a while: over, unless the sender is still at it.
            Err(_) if sending.is_finished() => break,
            Err(_) => continue,
        }
        let now = mono_ns();
        let [index, sent] = [0, 8].map(|at| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&message[at..at + 8]);
            u64::from_be_bytes(bytes)
        });
        let slot = delays.get_mut(index as usize).expect("an index that was sent");
        if slot.replace(now - sent).is_none() {
            missing -= 1;
        }
    }
    sending.join().expect("the sender");
    delays
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

fn left(deadline: Instant) -> Option<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left)
}
