//! A packet that is dropped on its way out is lost, not refused: its sender is
//! told nothing, as it is told nothing by a wire.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd,
    process::Command,
    thread,
};

use faultd_api::PortSet;
use nix::sys::socket::{setsockopt, sockopt};

use super::{
    super::{Action, Loss},
    harness::{Bench, rule},
};

fn bench_with_loopback() -> Option<Bench> {
    let bench = Bench::new()?;
    let up = || Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(bench.netns.run(up).unwrap().unwrap().success());
    Some(bench)
}

#[test]
fn udp_is_not_told() {
    let Some(bench) = bench_with_loopback() else { return };
    let socket = bench.netns.run(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).unwrap().unwrap();
    // Without it the kernel keeps ENOBUFS to itself (net/ipv4/udp.c, udp_send_skb).
    setsockopt(&socket, sockopt::Ipv4RecvErr, &true).unwrap();
    let counters = bench.with_rule(&rule(), |_| {
        assert_eq!(socket.send_to(b"x", (Ipv4Addr::LOCALHOST, 9)).unwrap(), 1);
    });
    assert_eq!(counters.affected, 1);
}

#[test]
fn tcp_has_to_find_out_and_retransmits() {
    const BYTES: usize = 1_000_000;
    let Some(bench) = bench_with_loopback() else { return };
    let (mut client, mut server) = bench.netns.run(connection).unwrap();
    let mut spec = rule();
    spec.remote_port = Some(PortSet::single(server.local_addr().unwrap().port()));
    spec.action = Action::Loss(Loss::Every(5));
    let counters = bench.with_rule(&spec, |_| {
        let reader = thread::spawn(move || server.read_exact(&mut vec![0; BYTES]).unwrap());
        client.write_all(&vec![0; BYTES]).unwrap();
        reader.join().unwrap();
    });
    assert!(counters.affected > 0);
    let retransmitted = tcp_info(&client).tcpi_total_retrans;
    assert!(retransmitted > 0, "{} lost, none retransmitted", counters.affected);
}

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    (client, listener.accept().unwrap().0)
}

fn tcp_info(stream: &TcpStream) -> libc::tcp_info {
    // SAFETY: plain numbers, for which zeros are valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = u32::try_from(size_of::<libc::tcp_info>()).unwrap();
    // SAFETY: the kernel writes at most `len` bytes to `info`.
    let rc = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
    info
}
