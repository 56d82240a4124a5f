//! What goes through the line comes out as it was.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use faultd_tests::{
    Netns, Peer,
    command::{run, succeeds},
    eventually, netns, slowly,
    traffic::{UdpEcho, receiver},
};

use nix::sys::socket::sockopt::UdpGsoSegment;

use crate::{
    classifier::Match,
    setup::{Running, SLOT, needs_privilege, tun},
};

const DELAY: Duration = Duration::from_millis(3);

/// Round trips of datagrams of `length` bytes, each compared with what was
/// sent.
pub fn round_trips(socket: &UdpSocket, length: usize, count: usize) -> Vec<Duration> {
    socket.set_read_timeout(Some(slowly(Duration::from_secs(5)))).unwrap();
    let sent: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
    let mut buffer = vec![0; 65_536];
    let trip = |_| {
        let start = Instant::now();
        socket.send(&sent).unwrap();
        let got = socket.recv(&mut buffer).unwrap();
        let elapsed = start.elapsed();
        assert!(buffer[..got] == sent, "a datagram of {length} bytes came back changed");
        elapsed
    };
    (0..count).map(trip).collect()
}

/// Sends a few MiB that are no repetition and checks every byte at the peer.
fn stream_intact(peer: &Peer, address: &str) {
    const BYTES: usize = 8 << 20;
    let byte = |n: usize| (n * 31 + n / 253) as u8;
    let listener = peer.run(|| TcpListener::bind(format!("{address}:0")).unwrap());
    let to = listener.local_addr().unwrap();
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(slowly(Duration::from_secs(10)))).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received
    });
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(&(0..BYTES).map(byte).collect::<Vec<_>>()).unwrap();
    drop(stream);
    let received = receiver.join().unwrap();
    assert_eq!(received.len(), BYTES);
    let wrong = received.iter().enumerate().position(|(n, &got)| got != byte(n));
    assert_eq!(wrong, None, "first wrong byte");
}

/// Datagrams that fit a frame and such that are fragmented, and a stream.
fn all_intact(running: &Running, peer: &Peer, addresses: [&str; 2]) {
    for address in addresses {
        let server = peer.run(|| UdpEcho::bind(&format!("{address}:0")));
        let any = if address.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(server.address()).unwrap();
        for length in [1, 100, 1400, 4000, 20_000, 60_000] {
            for trip in round_trips(&socket, length, 3) {
                assert!(trip >= DELAY, "{address}, {length} bytes: {trip:?}");
            }
        }
        let before = running.line.stats(SLOT).delivered;
        stream_intact(peer, address);
        assert!(running.line.stats(SLOT).delivered > before, "the stream went around the line");
    }
    let stats = running.line.stats(SLOT);
    assert_eq!((stats.refused, stats.overflow), (0, 0), "{stats:?}");
}

#[test]
fn frames_leave_a_device_unchanged() {
    needs_privilege!();
    let here = Netns::enter();
    let peer = here.peer();
    let running = Running::new().egress(netns::HERE_DEV, Match::Any, DELAY);
    all_intact(&running, &peer, [netns::PEER_V4, &format!("[{}]", netns::PEER_V6)]);
}

#[test]
fn frames_come_in_by_a_device_unchanged() {
    needs_privilege!();
    let here = Netns::enter();
    let peer = here.peer();
    let running = Running::new().ingress(netns::HERE_DEV, Match::Any, DELAY);
    all_intact(&running, &peer, [netns::PEER_V4, &format!("[{}]", netns::PEER_V6)]);
}

#[test]
fn vlan_tags_stay_with_their_frames() {
    needs_privilege!();
    let here = Netns::enter();
    let peer = here.peer();
    if !succeeds("ip link add link veth0 name probe type vlan id 7") {
        faultd_tests::vm_only!("this kernel has no 802.1Q");
    }
    let set_up = |parent: &str, last: u8| {
        run(&format!("ip link add link {parent} name tagged type vlan id 42"));
        run(&format!("ip address add 10.78.0.{last}/24 dev tagged"));
        run(&format!("ip address add fd78::{last}/64 dev tagged nodad"));
        run("ip link set tagged up");
    };
    set_up(netns::HERE_DEV, 1);
    peer.run(|| set_up(netns::PEER_DEV, 2));
    // On the parent the tag is in the packet's metadata.
    let running = Running::new().egress(netns::HERE_DEV, Match::Any, DELAY);
    all_intact(&running, &peer, ["10.78.0.2", "[fd78::2]"]);
    drop(running);
    let running = Running::new().ingress(netns::HERE_DEV, Match::Any, DELAY);
    all_intact(&running, &peer, ["10.78.0.2", "[fd78::2]"]);
}

/// Sends 30 datagrams in one call, which the kernel keeps together as long as
/// it can.
#[test]
fn segmentation_offload_of_datagrams_survives() {
    needs_privilege!();
    const SEGMENT: usize = 1200;
    let here = Netns::enter();
    let peer = here.peer();
    let inside = peer.run(|| receiver("0.0.0.0:0"));
    let outside = receiver("127.0.0.1:0");
    for (receiver, ip, device) in
        [(outside, "127.0.0.1", "lo"), (inside, netns::PEER_V4, netns::HERE_DEV)]
    {
        receiver.set_read_timeout(Some(slowly(Duration::from_secs(5)))).unwrap();
        let running = Running::new().egress(device, Match::Any, DELAY);
        let sender = UdpSocket::bind("0.0.0.0:0").unwrap();
        sender.connect((ip, receiver.local_addr().unwrap().port())).unwrap();
        let segment = i32::try_from(SEGMENT).unwrap();
        if nix::sys::socket::setsockopt(&sender, UdpGsoSegment, &segment).is_err() {
            faultd_tests::vm_only!("this kernel has no UDP_SEGMENT");
        }
        let start = Instant::now();
        let sent: Vec<u8> = (0..30 * SEGMENT).map(|n| (n / SEGMENT + n) as u8).collect();
        sender.send(&sent).unwrap();
        let mut buffer = [0; 65_536];
        for expected in sent.chunks(SEGMENT) {
            let got = receiver.recv(&mut buffer).unwrap();
            assert!(buffer[..got] == *expected, "a datagram on {device} changed");
        }
        assert!(start.elapsed() >= DELAY);
        let stats = running.line.stats(SLOT);
        assert_eq!((stats.refused, stats.overflow), (0, 0), "{stats:?}");
    }
}

#[test]
fn a_device_without_a_link_layer_gets_bare_packets() {
    needs_privilege!();
    let _here = Netns::enter();
    let mut tun = tun("bare");
    run("ip address add 10.79.0.1/24 dev bare");
    run("ip link set bare up");
    let running = Running::new().bare_egress("bare", DELAY);
    let sender = UdpSocket::bind("10.79.0.1:0").unwrap();
    let start = Instant::now();
    sender.send_to(b"through the line", "10.79.0.2:4711").unwrap();
    let mut packet = [0; 2048];
    loop {
        let length = tun.read(&mut packet).unwrap();
        // IPv6's own start-up packets come by too.
        if packet[0] == 0x45 {
            assert!(packet[..length].ends_with(b"through the line"));
            break;
        }
    }
    assert!(start.elapsed() >= DELAY);
    eventually(Duration::from_secs(1), "it went through the line", || {
        running.line.stats(SLOT).delivered > 0
    });
}
