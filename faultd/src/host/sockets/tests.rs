use std::{
    collections::{HashMap, HashSet},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    time::{Duration, Instant},
};

use faultd_api::PortSet;

use super::*;

fn inode(fd: &impl AsRawFd) -> u64 {
    std::fs::metadata(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap().ino()
}

fn on_port(port: u16) -> Query {
    Query { port: Some(PortSet::single(port)), ..Query::default() }
}

#[test]
fn tcp_sockets_are_listed_with_both_ends() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address) else { continue };
        let at = listener.local_addr().unwrap();
        let client = TcpStream::connect(at).unwrap();
        let (server, _) = listener.accept().unwrap();
        let own = Netns::current().unwrap();
        let found = list(&own, &on_port(at.port())).unwrap();
        let find = |i: u64| found.iter().find(|s| s.inode == i).unwrap();

        let s = find(inode(&listener));
        assert_eq!((s.state, s.local, s.remote.port()), (State::Listen, at, 0));
        let s = find(inode(&client));
        assert_eq!(
            (s.state, s.local, s.remote),
            (State::Established, client.local_addr().unwrap(), at)
        );
        assert_eq!(s.proto, Proto::Tcp);
        assert_eq!(s.uid, nix::unistd::getuid().as_raw());
        let s = find(inode(&server));
        assert_eq!((s.local, s.remote), (at, client.local_addr().unwrap()));
    }
}

#[test]
fn udp_sockets_are_listed() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let own = Netns::current().unwrap();
    let found = list(&own, &on_port(at.port())).unwrap();
    let s = found.iter().find(|s| s.inode == inode(&socket)).unwrap();
    assert_eq!((s.proto, s.state.to_string()), (Proto::Udp, "UNCONN".into()));
}

#[test]
fn a_dual_stack_socket_talking_ipv4_shows_ipv4() {
    let Ok(listener) = TcpListener::bind("[::]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (server, _) = listener.accept().unwrap();
    let found = list(&Netns::current().unwrap(), &on_port(port)).unwrap();
    let s = found.iter().find(|s| s.inode == inode(&server)).unwrap();
    assert_eq!(s.remote, client.local_addr().unwrap());
}

#[test]
fn holders_are_found_by_inode() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = inode(&listener);
    let uids = HashSet::from([nix::unistd::getuid().as_raw()]);
    let all = likely_first(&uids);
    assert_eq!(all.len(), all.iter().collect::<HashSet<_>>().len(), "each once");
    let me = std::process::id();
    let found = holders(&HashSet::from([wanted]), all, Duration::from_secs(60));
    assert_eq!(found, HashMap::from([(wanted, me)]));
    assert!(inodes_of(me).contains(&wanted));
    assert!(holders(&HashSet::new(), [me], Duration::from_secs(60)).is_empty());
}

#[test]
fn the_search_for_holders_ends_when_patience_does() {
    let _one = TcpListener::bind("127.0.0.1:0").unwrap();
    let found = holders(
        &HashSet::from([u64::MAX]),
        std::iter::repeat(std::process::id()),
        Duration::from_millis(1),
    );
    assert!(found.is_empty());
}

#[test]
fn listing_takes_no_time_worth_speaking_of() {
    let own = Netns::current().unwrap();
    let count = list(&own, &Query::default()).unwrap().len() as u32;
    let best = (0..20)
        .map(|_| {
            let start = Instant::now();
            list(&own, &Query::default()).unwrap();
            start.elapsed()
        })
        .min()
        .unwrap();
    // Unoptimised and on a shared machine; the release build is far below.
    let limit = Duration::from_millis(50) + Duration::from_micros(50) * count;
    assert!(best < limit, "{best:?} for {count} sockets");
    eprintln!("listing all sockets: {best:?}");
}

fn socket(local: &str, remote: &str) -> LiveSocket {
    LiveSocket {
        proto: Proto::Tcp,
        state: State::Established,
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
        ifindex: 0,
        uid: 0,
        inode: 1,
        cgroup: Some(7),
    }
}

#[test]
fn queries_narrow() {
    let s = socket("10.0.0.1:80", "10.0.0.2:5000");
    let ports = |text: &str| Some(text.parse::<PortSet>().unwrap());
    let nets = |text: &str| vec![text.parse().unwrap()];
    let yes = [
        Query::default(),
        Query { port: ports("5000"), ..Query::default() },
        Query { local_port: ports("80"), remote_port: ports("5000"), ..Query::default() },
        Query { remote: nets("10.0.0.0/24"), except_port: ports("81"), ..Query::default() },
        Query { inodes: Some(HashSet::from([1])), uid: Some(0), ..Query::default() },
        Query { cgroups: Some(HashSet::from([7])), ..Query::default() },
    ];
    let no = [
        Query { proto: Some(Proto::Udp), ..Query::default() },
        Query { local_port: ports("5000"), ..Query::default() },
        Query { except_port: ports("80"), ..Query::default() },
        Query { remote: nets("10.0.1.0/24"), ..Query::default() },
        Query { except_remote: nets("10.0.0.2/32"), ..Query::default() },
        Query { cgroups: Some(HashSet::new()), ..Query::default() },
    ];
    for q in yes {
        assert!(q.matches(&s), "{q:?}");
    }
    for q in no {
        assert!(!q.matches(&s), "{q:?}");
    }
    let listener = socket("0.0.0.0:80", "0.0.0.0:0");
    assert!(Query { remote: nets("10.0.1.0/24"), ..Query::default() }.matches(&listener));
    assert!(!Query { port: ports("5000"), ..Query::default() }.matches(&listener));
}

#[test]
fn malformed_answers_are_ignored() {
    assert_eq!(parse(Proto::Tcp, &[0; 71]), None);
}
