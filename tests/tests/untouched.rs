//! What a target does not name is left alone; what it names is hit in every
//! shape that it travels in.

use std::{fs, net::UdpSocket, thread, time::Duration};

use faultd_tests::{
    Netns, Peer, World,
    clock::mono_ns,
    command::{json, run, succeeds},
    ctl::{Outcome, faultctl},
    daemon::Home,
    eventually, netns, slowly,
    traffic::{Pinger, TcpEcho, UdpEcho, deliver, lost, receiver, sender_to},
    vm_only,
    wire::{Way, assert_added},
};

fn limit() -> Duration {
    slowly(Duration::from_millis(250))
}

#[test]
fn other_ports_lose_nothing() {
    for way in Way::ALL {
        let world = way.world();
        let hit = way.at_server(&world, receiver);
        let spared = way.at_server(&world, receiver);
        world.inject(&format!(
            "loss --percent 100 --port {} --for 60s",
            hit.local_addr().unwrap().port()
        ));
        let to_hit = sender_to(hit.local_addr().unwrap());
        let to_spared = sender_to(spared.local_addr().unwrap());
        assert_eq!(lost(&deliver(&to_spared, &spared, 5000)), 0, "{way:?}");
        assert_eq!(lost(&deliver(&to_hit, &hit, 100)), 100, "{way:?}");
    }
}

#[test]
fn other_namespaces_notice_nothing() {
    let world = World::with_peer();
    let mut in_peer = world.peer().run(|| {
        let server = TcpEcho::bind("127.0.0.1:0");
        (Pinger::tcp(server.address()), server)
    });
    world.inject("partition --dev lo --for 60s");
    in_peer.0.series(50);
    let cut_off = UdpEcho::bind("127.0.0.1:0");
    assert_eq!(Pinger::udp(cut_off.address()).ping_within(limit()), None);
    let elsewhere = Peer::new();
    elsewhere.run(|| {
        let server = UdpEcho::bind("[::1]:0");
        Pinger::udp(server.address()).series(50);
    });
    world.revert_all();
}

fn neighbour(family: &str, address: &str) -> String {
    let list = json(&format!("ip -j {family} neighbour show {address}"));
    format!("{} {}", list[0]["lladdr"], list[0]["state"][0])
}

#[test]
fn arp_and_neighbour_discovery_pass() {
    let world = World::with_peer();
    let out4 = sender_to((netns::PEER_V4.parse::<std::net::IpAddr>().unwrap(), 9).into());
    let out6 = sender_to((netns::PEER_V6.parse::<std::net::IpAddr>().unwrap(), 9).into());
    world.inject("partition --dev veth0 --for 60s");
    for (family, address, socket) in [("-4", netns::PEER_V4, &out4), ("-6", netns::PEER_V6, &out6)]
    {
        run(&format!("ip {family} neighbour flush dev veth0"));
        assert!(!neighbour(family, address).contains(':'), "still known after the flush");
        eventually(Duration::from_secs(5), &format!("{address} is resolved"), || {
            let _ = socket.send(b"x");
            neighbour(family, address).contains(':')
        });
        // And the other way: the peer asks, this end answers.
        let here = if family == "-4" { netns::HERE_V4 } else { netns::HERE_V6 };
        world.peer().run(|| {
            run(&format!("ip {family} neighbour flush dev veth1"));
            let socket = sender_to((here.parse::<std::net::IpAddr>().unwrap(), 9).into());
            eventually(Duration::from_secs(5), &format!("{here} is resolved"), || {
                let _ = socket.send(b"x");
                neighbour(family, here).contains(':')
            });
        });
    }
    // Meanwhile nothing else passed.
    let server = Way::Veth4.at_server(&world, UdpEcho::bind);
    assert_eq!(Pinger::udp(server.address()).ping_within(limit()), None);
}

#[test]
fn dhcp_passes_unless_forced() {
    let world = World::with_peer();
    for (server, client, from) in
        [("10.77.0.2:67", "10.77.0.1:68", 68), ("[fd77::2]:547", "[fd77::1]:546", 546)]
    {
        let there = world.peer().run(|| receiver(server));
        let here = UdpSocket::bind(client).unwrap();
        here.connect(there.local_addr().unwrap()).unwrap();
        let id = world.inject_id("partition --dev veth0 --for 60s");
        assert_eq!(lost(&deliver(&here, &there, 200)), 0, "from port {from}");
        world.ctl(&format!("revert {id}")).ok();
        let id = world.inject_id("partition --dev veth0 --for 60s --force");
        assert_eq!(lost(&deliver(&here, &there, 200)), 200, "from port {from}, forced");
        world.ctl(&format!("revert {id}")).ok();
    }
}

#[test]
fn the_ssh_session_survives_a_partition_of_everything() {
    for way in [Way::Veth4, Way::Veth6] {
        let world = way.world();
        // The session comes from the peer, as SSH does.
        let here = if way == Way::Veth4 { "10.77.0.1:0" } else { "[fd77::1]:0" };
        let sshd = TcpEcho::bind(here);
        let address = sshd.address();
        let mut session = world.peer().run(|| Pinger::tcp(address));
        let mut other = world.peer().run(|| Pinger::tcp(address));
        let (normal, _) = (session.ping(), other.ping());
        let from = session.local();
        let connection =
            format!("{} {} {} {}", from.ip(), from.port(), address.ip(), address.port());
        let outcome = Outcome::of(
            faultctl(world.socket())
                .args(["--json", "inject", "partition", "--for", "30s"])
                .env("SSH_CONNECTION", &connection),
        );
        let fault = outcome.json();
        for _ in 0..20 {
            assert!(session.ping_within(limit()).is_some(), "{way:?}: the session is cut off");
        }
        assert_eq!(other.ping_within(limit()), None, "{way:?}: everything passes");
        let plan = Outcome::of(
            faultctl(world.socket())
                .args(["inject", "partition", "--dry-run"])
                .env("SSH_CONNECTION", &connection),
        );
        let port = from.port().to_string();
        assert!(plan.clone().ok().contains(&port), "the plan names the session: {}", plan.stdout);
        world.ctl(&format!("revert {}", fault["id"].as_str().unwrap())).ok();
        assert!(normal > 0);
        session.ping();
    }
}

#[test]
fn vlan_tagged_packets_are_matched_once() {
    let home = Home::new();
    let probe = Netns::enter();
    // Not on lo, which takes no VLANs anywhere.
    run("ip link add probe0 type veth peer name probe1");
    let has_vlan = succeeds("ip link add link probe0 name probe2 type vlan id 7");
    drop(probe);
    if !has_vlan {
        vm_only!("this kernel has no VLAN devices");
    }
    let tag = |parent: &str, last: u8| {
        run(&format!("ip link add link {parent} name vlan0 type vlan id 100"));
        run(&format!("ip address add 10.78.0.{last}/24 dev vlan0"));
        run("ip link set vlan0 up");
    };
    let world = World::prepared(true, home, &[], |_, peer| {
        tag("veth0", 1);
        peer.expect("a peer").run(|| tag("veth1", 2));
    });
    let server = world.peer().run(|| UdpEcho::bind("10.78.0.2:0"));
    let mut pinger = Pinger::udp(server.address());
    let normal = faultd_tests::traffic::median(&pinger.series(30));
    // On the parent, where packets carry the tag; on the VLAN; on both at once.
    for dev in ["--dev veth0", "--dev vlan0", ""] {
        let id =
            world.inject_id(&format!("latency --ms 30 --port {} {dev} --for 60s", server.port()));
        assert_added(dev, &pinger.series(8), normal, 30.0);
        world.ctl(&format!("revert {id}")).ok();
    }
    let id = world.inject_id(&format!("loss --percent 100 --port {} --dev veth0", server.port()));
    assert_eq!(pinger.ping_within(limit()), None);
    world.ctl(&format!("revert {id}")).ok();
    world.inject(&format!(
        "loss --percent 100 --direction ingress --port {} --dev veth0",
        server.port()
    ));
    assert_eq!(pinger.ping_within(limit()), None, "tagged packets that arrive");
    world.revert_all();
}

#[test]
fn fragments_share_the_fate_of_their_first() {
    for way in [Way::Veth4, Way::Veth6] {
        let world = way.world();
        let server = way.at_server(&world, UdpEcho::bind);
        let socket = sender_to(server.address());
        socket.set_read_timeout(Some(slowly(Duration::from_secs(2)))).unwrap();
        let message = vec![7; 6000];
        let mut buffer = vec![0; 9000];
        let fragments = || -> u64 {
            let (file, name) = if way == Way::Veth4 {
                ("/proc/self/net/snmp", "ReasmReqds")
            } else {
                ("/proc/self/net/snmp6", "Ip6ReasmReqds")
            };
            world.peer().run(|| {
                counter(&fs::read_to_string(file.replace("self", "thread-self")).unwrap(), name)
            })
        };
        socket.send(&message).unwrap();
        assert_eq!(socket.recv(&mut buffer).unwrap(), 6000, "{way:?}");
        let before = fragments();
        assert!(before > 1, "{way:?}: the message was not fragmented");

        let port = server.port();
        let id = world.inject_id(&format!("partition --port {port} --dev veth0 --for 60s"));
        socket.set_read_timeout(Some(limit())).unwrap();
        for _ in 0..5 {
            socket.send(&message).unwrap();
        }
        assert!(socket.recv(&mut buffer).is_err(), "{way:?}: fragments passed");
        assert_eq!(fragments(), before, "{way:?}: later fragments slipped through");
        world.ctl(&format!("revert {id}")).ok();

        world.inject(&format!("latency --ms 40 --port {port} --dev veth0 --for 60s"));
        socket.set_read_timeout(Some(slowly(Duration::from_secs(2)))).unwrap();
        faultd_tests::traffic::measures();
        let mut round_trips = Vec::new();
        for _ in 0..5 {
            let start = mono_ns();
            socket.send(&message).unwrap();
            assert_eq!(socket.recv(&mut buffer).unwrap(), 6000, "{way:?}");
            round_trips.push(mono_ns() - start);
        }
        assert_added("fragmented", &round_trips, 0, 40.0);
    }
}

#[test]
fn the_control_socket_is_never_cut_off() {
    let world = World::new();
    world.inject("partition --for 60s");
    for _ in 0..5 {
        assert_eq!(world.ctl("--json list").json()["faults"].as_array().unwrap().len(), 1);
        thread::sleep(Duration::from_millis(20));
    }
    world.revert_all();
}

fn counter(text: &str, name: &str) -> u64 {
    // /proc/net/snmp6: a name and a value a line; /proc/net/snmp: names above values.
    for line in text.lines() {
        if let Some(value) = line.strip_prefix(name).filter(|v| v.starts_with([' ', '\t'])) {
            return value.trim().parse().unwrap_or_default();
        }
    }
    let lines: Vec<Vec<&str>> =
        text.lines().filter(|l| l.starts_with("Ip:")).map(|l| l.split(' ').collect()).collect();
    let at = lines[0].iter().position(|n| *n == name).unwrap_or_default();
    lines[1][at].parse().unwrap_or_default()
}
