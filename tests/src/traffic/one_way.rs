//! How long datagrams take one way, by the kernel's own receive stamps: the
//! moment at which they arrive, not the one at which a busy machine gets round
//! to waking a reader.

use std::{
    io::{self, ErrorKind, IoSliceMut},
    net::UdpSocket,
    os::fd::AsRawFd,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt},
    time::{ClockId, clock_gettime},
};

use crate::slowly;

/// One-way delays in nanoseconds, in the order of sending; `None` where a
/// datagram did not arrive.
pub type Delays = Vec<Option<u64>>;

/// Sends `count` datagrams over a connected socket, one each `interval`,
/// whatever becomes of the earlier ones.
///
/// # Panics
/// When the sockets do not work.
pub fn one_way(
    sender: &UdpSocket,
    receiver: &UdpSocket,
    count: usize,
    interval: Duration,
) -> Delays {
    setsockopt(receiver, sockopt::ReceiveTimestampns, &true).expect("SO_TIMESTAMPNS");
    receiver.set_read_timeout(Some(slowly(Duration::from_secs(1)))).expect("read timeout");
    let sender = sender.try_clone().expect("a second handle");
    let sending = thread::spawn(move || {
        super::measures();
        let start = Instant::now();
        (0..count)
            .map(|i| {
                let due = start + interval * i as u32;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let sent = realtime_ns();
                let _ = sender.send(&(i as u64).to_be_bytes());
                sent
            })
            .collect::<Vec<u64>>()
    });
    let mut arrived = vec![None; count];
    while arrived.contains(&None) {
        match receive(receiver) {
            Ok((number, at)) => {
                *arrived.get_mut(number).expect("a number that was sent") = Some(at);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            // Nothing for a while: over, unless the sender is still at it.
            Err(_) if sending.is_finished() => break,
            Err(_) => {}
        }
    }
    let sent = sending.join().expect("the sender");
    arrived.iter().zip(sent).map(|(at, sent)| at.map(|at: u64| at.saturating_sub(sent))).collect()
}

/// The next datagram: its number and the kernel's stamp.
fn receive(socket: &UdpSocket) -> io::Result<(usize, u64)> {
    let mut number = [0; 8];
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut buffers = [IoSliceMut::new(&mut number)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut buffers,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let stamp = message.cmsgs()?.find_map(|c| match c {
        ControlMessageOwned::ScmTimestampns(at) => Some(at),
        _ => None,
    });
    let at = stamp.ok_or_else(|| io::Error::other("a datagram without a stamp"))?;
    let at = at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64;
    Ok((u64::from_be_bytes(number) as usize, at))
}

/// The clock of the stamps.
fn realtime_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("clock_gettime");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}
