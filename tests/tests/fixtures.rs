//! The fixtures themselves: that they measure, and that they notice.

use std::time::Duration;

use faultd_tests::{
    Netns, Victim, cgroup::Cgroup, command, netns, residue::Snapshot, skip, traffic, victim,
};
use traffic::{Pinger, TcpEcho, UdpEcho};

#[test]
fn nothing_is_lost_without_a_fault() {
    let here = Netns::enter();
    let peer = here.peer();
    for (receiver, address) in [
        (traffic::receiver("127.0.0.1:0"), "127.0.0.1"),
        (peer.run(|| traffic::receiver("[fd77::2]:0")), netns::PEER_V6),
    ] {
        let port = receiver.local_addr().unwrap().port();
        let sender =
            traffic::sender_to((address.parse::<std::net::IpAddr>().unwrap(), port).into());
        let arrived = traffic::deliver(&sender, &receiver, 20_000);
        assert_eq!(traffic::lost(&arrived), 0, "over {address}");
    }
}

#[test]
fn pingers_reach_both_namespaces() {
    let here = Netns::enter();
    let peer = here.peer();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (tcp, udp) = (TcpEcho::bind(address), UdpEcho::bind(address));
        assert_eq!(Pinger::tcp(tcp.address()).series(20).len(), 20);
        assert_eq!(Pinger::udp(udp.address()).series(20).len(), 20);
    }
    for address in ["10.77.0.2:0", "[fd77::2]:0"] {
        let (tcp, udp) = peer.run(|| (TcpEcho::bind(address), UdpEcho::bind(address)));
        assert_eq!(Pinger::tcp(tcp.address()).series(20).len(), 20);
        assert_eq!(Pinger::udp(udp.address()).series(20).len(), 20);
    }
    let receiver = traffic::receiver("[::1]:0");
    let sender = traffic::sender_to(traffic::address(&receiver));
    let delays = traffic::one_way(&sender, &receiver, 200, Duration::from_micros(200));
    assert!(delays.iter().all(Option::is_some));
}

#[test]
fn a_residue_is_noticed() {
    let here = Netns::enter();
    let peers = [here.peer()];
    let before = Snapshot::take(&here, &peers);
    assert_eq!(Snapshot::take(&here, &peers).differences(&before), Vec::<String>::new());
    let leave_and_tidy = [
        ("ip link set lo mtu 1500", "ip link set lo mtu 65536"),
        ("ip tuntap add dev left0 mode tap", "ip link delete left0"),
        ("tc qdisc add dev lo clsact", "tc qdisc delete dev lo clsact"),
        ("ip address add 10.9.9.9/32 dev lo", "ip address delete 10.9.9.9/32 dev lo"),
    ];
    for (leave, tidy) in leave_and_tidy {
        // Not every kernel has every one of them.
        if !command::succeeds(leave) {
            continue;
        }
        let found = Snapshot::take(&here, &peers).differences(&before);
        assert!(!found.is_empty(), "not noticed: {leave}");
        command::run(tidy);
    }
    std::fs::write("/proc/sys/net/ipv4/conf/lo/route_localnet", "1").unwrap();
    let found = Snapshot::take(&here, &peers).differences(&before);
    assert!(found.join("").contains("route_localnet"), "{found:?}");
    std::fs::write("/proc/sys/net/ipv4/conf/lo/route_localnet", "0").unwrap();
    assert_eq!(before.settle(&here, &peers, Duration::from_secs(2)), Vec::<String>::new());
}

#[test]
fn a_victim_serves_from_where_it_was_put() {
    let _here = Netns::enter();
    let Some(cgroup) = Cgroup::new() else { skip!("no cgroup v2 hierarchy is mounted") };
    let looks = victim::Looks { comm: Some("some-victim".into()), ..Default::default() };
    let victim = Victim::start("127.0.0.1", Some(&cgroup), &looks);
    let proc = format!("/proc/{}", victim.pid());
    let comm = std::fs::read_to_string(format!("{proc}/comm")).unwrap();
    assert_eq!(comm.trim(), "some-victim");
    let groups = std::fs::read_to_string(format!("{proc}/cgroup")).unwrap();
    assert!(groups.contains(cgroup.name()), "{groups}");
    assert_eq!(Pinger::tcp(victim.address()).series(5).len(), 5);
    assert_eq!(Pinger::udp(victim.address()).series(5).len(), 5);
    let port = victim.fork();
    assert_ne!(port, victim.port());
    assert_eq!(Pinger::udp((victim.address().ip(), port).into()).series(5).len(), 5);
    drop(victim);
    assert!(!std::path::Path::new(&proc).exists());
}

#[test]
fn a_grandchild_and_another_user_serve_too() {
    let _here = Netns::enter();
    let nested = victim::Looks { through_child: true, ..Default::default() };
    let other = victim::Looks { uid: Some(65_534), ..Default::default() };
    for looks in [nested, other] {
        let victim = Victim::start("::1", None, &looks);
        assert_eq!(Pinger::udp(victim.address()).series(5).len(), 5, "{looks:?}");
        let uid = std::fs::read_to_string(format!("/proc/{}/status", victim.pid())).unwrap();
        let uid = uid.lines().find(|l| l.starts_with("Uid:")).unwrap().to_owned();
        assert_eq!(uid.contains("65534"), looks.uid.is_some(), "{uid}");
    }
}
