//! Losses, counted by numbering what is sent.

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    time::Duration,
};

use crate::slowly;

/// Datagrams sent between two looks at what has arrived.
const BATCH: usize = 128;

/// A receiving socket with a buffer that a batch cannot overflow.
///
/// # Panics
/// When the address cannot be bound.
#[track_caller]
pub fn receiver(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
    grow_buffer(&socket);
    socket
}

/// A socket connected to `to`.
///
/// # Panics
/// When the address cannot be reached at all.
#[track_caller]
pub fn sender_to(to: SocketAddr) -> UdpSocket {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).expect("a UDP socket");
    socket.connect(to).unwrap_or_else(|e| panic!("{to}: {e}"));
    socket
}

/// Where a socket is bound.
///
/// # Panics
/// Never for a bound socket.
pub fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("local address")
}

/// Sends `count` numbered datagrams and tells which of them arrived.
///
/// Sending and receiving take turns, so nothing is lost for want of buffers.
///
/// # Panics
/// When the sockets do not work, or something arrives that was not sent.
pub fn deliver(sender: &UdpSocket, receiver: &UdpSocket, count: usize) -> Vec<bool> {
    receiver.set_nonblocking(true).expect("non-blocking");
    let mut arrived = vec![false; count];
    for start in (0..count).step_by(BATCH) {
        for number in start..(start + BATCH).min(count) {
            match sender.send(&(number as u64).to_be_bytes()) {
                Ok(_) => {}
                // How a drop on the way out may show at the sender: EPERM from a
                // cgroup program, ENOBUFS from a classifier.
                Err(e) if e.kind() == ErrorKind::PermissionDenied => {}
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(e) => panic!("sending number {number}: {e}"),
            }
        }
        drain(receiver, &mut arrived);
    }
    // The last ones may still be under way on another processor.
    receiver.set_nonblocking(false).expect("blocking");
    receiver.set_read_timeout(Some(slowly(Duration::from_millis(200)))).expect("read timeout");
    drain(receiver, &mut arrived);
    arrived
}

/// How many did not arrive.
pub fn lost(arrived: &[bool]) -> u64 {
    arrived.iter().filter(|a| !**a).count() as u64
}

/// Makes the receive buffer 32 MiB, past the system's limit.
///
/// # Panics
/// Without the privilege.
pub fn grow_buffer(socket: &UdpSocket) {
    let bytes: libc::c_int = 32 << 20;
    // SAFETY: the option takes an int; the pointer and the length are those of one.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "SO_RCVBUFFORCE: {}", std::io::Error::last_os_error());
}

fn drain(receiver: &UdpSocket, arrived: &mut [bool]) {
    let mut message = [0; 8];
    loop {
        match receiver.recv(&mut message) {
            Ok(8) => {
                let number = u64::from_be_bytes(message) as usize;
                *arrived.get_mut(number).expect("a number that was sent") = true;
            }
            Ok(other) => panic!("a datagram of {other} bytes that nobody sent"),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
            // A timed receive that ended early, or an ICMP error for an earlier one.
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {
            }
            Err(e) => panic!("receiving: {e}"),
        }
    }
}
