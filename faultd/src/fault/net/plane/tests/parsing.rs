//! Whatever a packet is wrapped in, the classifier sees its ports.

use std::{net::UdpSocket, process::Command};

use faultd_api::{PortSet, Proto};

use super::{
    harness::{Bench, PASS, SHOT, rule},
    packet::{self, ICMP, ICMPV6, Packet, TCP, UDP},
};

const V4: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const V6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

const MORE: u16 = 0x2000;

fn to_port(protocol: u8, ends: [&str; 2], port: u16) -> Packet {
    Packet::new(protocol, (ends[0], 40_000), (ends[1], port))
}

/// A bench where everything to or from port 8080 is dropped.
fn bench() -> Option<Bench> {
    let bench = Bench::new()?;
    let mut spec = rule();
    spec.port = Some(PortSet::single(8080));
    bench.plane.add(&spec).unwrap();
    Some(bench)
}

#[track_caller]
fn assert_seen(bench: &Bench, wrap: impl Fn(&mut Packet), ends: [&str; 2], what: &str) {
    for protocol in [TCP, UDP] {
        for (port, verdict) in [(8080, SHOT), (8081, PASS)] {
            let mut packet = to_port(protocol, ends, port);
            wrap(&mut packet);
            assert_eq!(bench.leave(&packet.bytes()), verdict, "{what}, port {port}");
        }
    }
}

/// Without an Ethernet header, a packet whose own bytes look like one: from
/// 8.0.69.1, port 32768, to a port whose number ends in 17.
#[test]
fn a_packet_without_ethernet_is_not_taken_for_one() {
    let Some(bench) = Bench::new() else { return };
    for arguments in
        ["tuntap add dev bare0 mode tun", "addr add 8.0.69.1/24 dev bare0", "link set bare0 up"]
    {
        let ip = || Command::new("ip").args(arguments.split(' ')).status();
        assert!(bench.netns.run(ip).unwrap().unwrap().success(), "ip {arguments}");
    }
    let bind = || UdpSocket::bind("8.0.69.1:32768");
    let sender = bench.netns.run(bind).unwrap().unwrap();
    let mut spec = rule();
    spec.port = Some(PortSet::single(0x1111));
    let counted = bench.with_rule(&spec, |_| {
        // Refused, the device having no reader, but only behind the classifier.
        let _ = sender.send_to(&[0xff; 64], "8.0.69.2:4369");
    });
    assert_eq!(counted.matched, 1);
}

#[test]
fn plain_packets() {
    let Some(bench) = bench() else { return };
    assert_seen(&bench, |_| (), V4, "IPv4");
    assert_seen(&bench, |_| (), V6, "IPv6");
    let back = Packet::new(TCP, (V4[0], 8080), (V4[1], 40_000));
    assert_eq!(bench.leave(&back.bytes()), SHOT, "either end");
}

#[test]
fn ports_of_sctp_and_dccp_count_and_other_protocols_have_none() {
    let Some(bench) = bench() else { return };
    for protocol in [33, 132, 136] {
        assert_eq!(bench.leave(&to_port(protocol, V4, 8080).bytes()), SHOT, "{protocol}");
    }
    for protocol in [2, 47, 50, 89] {
        assert_eq!(bench.leave(&to_port(protocol, V4, 8080).bytes()), PASS, "{protocol}");
    }
}

#[test]
fn tags_in_the_frame() {
    let Some(bench) = bench() else { return };
    for ends in [V4, V6] {
        assert_seen(&bench, |p| p.tags = vec![(0x8100, 5)], ends, "802.1Q");
        assert_seen(&bench, |p| p.tags = vec![(0x88a8, 5)], ends, "802.1ad");
        assert_seen(&bench, |p| p.tags = vec![(0x88a8, 5), (0x8100, 6)], ends, "QinQ");
    }
    let mut three = to_port(TCP, V4, 8080);
    three.tags = vec![(0x8100, 1); 4];
    assert_eq!(bench.leave(&three.bytes()), PASS, "deeper than anybody stacks them");
}

#[test]
fn ipv4_options() {
    let Some(bench) = bench() else { return };
    for options in 1..=10 {
        assert_seen(&bench, |p| p.options = options, V4, "options");
    }
}

#[test]
fn ipv6_extension_headers() {
    let Some(bench) = bench() else { return };
    for kind in [0, 43, 60, 135] {
        for words in [1, 2, 5] {
            let wrap = |p: &mut Packet| p.extensions = vec![packet::extension(kind, words)];
            assert_seen(&bench, wrap, V6, &format!("extension {kind} of {words} words"));
        }
    }
    for words in [3, 4, 6] {
        let wrap = |p: &mut Packet| p.extensions = vec![packet::authentication(words)];
        assert_seen(&bench, wrap, V6, "authentication");
    }
    let many = |n| move |p: &mut Packet| p.extensions = vec![packet::extension(60, 1); n];
    assert_seen(&bench, many(6), V6, "six extensions");
    let mut seven = to_port(TCP, V6, 8080);
    many(7)(&mut seven);
    assert_eq!(bench.leave(&seven.bytes()), PASS, "more than are stepped over");
}

#[test]
fn fragments_share_the_ports_of_the_first() {
    let Some(bench) = bench() else { return };
    for (id, (port, verdict)) in (1..).zip([(8080, SHOT), (8081, PASS)]) {
        let mut first = to_port(UDP, V4, port);
        (first.id, first.fragment) = (id, MORE);
        let mut middle = to_port(UDP, V4, 9999);
        (middle.id, middle.fragment) = (id, MORE | 10);
        let mut last = middle.clone();
        last.fragment = 20;
        assert_eq!(bench.leave(&middle.bytes()), PASS, "before the first one nothing is known");
        for part in [&first, &middle, &last] {
            assert_eq!(bench.leave(&part.bytes()), verdict, "port {port}");
        }
        let mut other = last.clone();
        other.id = 77;
        assert_eq!(bench.leave(&other.bytes()), PASS, "of another datagram");
    }
}

#[test]
fn ipv6_fragments_too() {
    let Some(bench) = bench() else { return };
    for (id, (port, verdict)) in (1..).zip([(8080, SHOT), (8081, PASS)]) {
        let mut first = to_port(UDP, V6, port);
        first.extensions = vec![packet::extension(60, 1), packet::fragment(0, true, id)];
        // What follows looks like a header, and is none.
        let mut last = to_port(UDP, V6, 9999);
        last.extensions = vec![packet::extension(60, 1), packet::fragment(5, false, id)];
        for part in [&first, &last] {
            assert_eq!(bench.leave(&part.bytes()), verdict, "port {port}");
        }
    }
    let whole = |p: &mut Packet| p.extensions = vec![packet::fragment(0, false, 9)];
    assert_seen(&bench, whole, V6, "an atomic fragment");
}

#[test]
fn what_is_cut_short_or_not_ip_passes() {
    let Some(bench) = Bench::new() else { return };
    let mut everything = rule();
    everything.force = true;
    bench.plane.add(&everything).unwrap();
    assert_eq!(bench.leave(&to_port(TCP, V4, 1).bytes()), SHOT);
    for ethertype in [0x0806, 0x8035, 0x88cc, 0x8863, 0x8864, 0x88f7, 0x8847] {
        assert_eq!(bench.leave(&packet::frame(ethertype)), PASS, "{ethertype:#x}");
    }
    let mut tagged = vec![0; 12];
    tagged.extend([0x81, 0x00, 0, 5, 0x08, 0x06]);
    tagged.resize(64, 0);
    assert_eq!(bench.leave(&tagged), PASS, "tagged ARP");
    let mut short_header = to_port(TCP, V4, 1).bytes();
    short_header[packet::ETHERNET] = 0x44;
    assert_eq!(bench.leave(&short_header), PASS, "an IP header of 16 bytes");
    let no_transport = Packet::raw(TCP, V4[0], V4[1], Vec::new());
    assert_eq!(bench.leave(&no_transport.bytes()), SHOT, "ports do not matter to this rule");
}

#[test]
fn without_ports_no_rule_for_ports_matches() {
    let Some(bench) = bench() else { return };
    for cut in [0, 1, 3] {
        let transport = [0x9c, 0x40, 0x1f, 0x90][..cut].to_vec();
        for ends in [V4, V6] {
            let packet = Packet::raw(TCP, ends[0], ends[1], transport.clone());
            assert_eq!(bench.leave(&packet.bytes()), PASS, "{cut} bytes");
        }
    }
}

#[test]
fn neighbour_discovery_and_dhcp_pass_unless_forced() {
    let Some(bench) = Bench::new() else { return };
    let icmp6 = |kind: u8| Packet::raw(ICMPV6, V6[0], V6[1], vec![kind, 0, 0, 0, 0, 0, 0, 0]);
    let discovery = (133..=137).map(icmp6);
    let dhcp = [(V4, 67), (V4, 68), (V6, 546), (V6, 547)].map(|(e, port)| to_port(UDP, e, port));
    let all: Vec<Vec<u8>> = discovery.chain(dhcp).map(|p| p.bytes()).collect();
    let counted = bench.with_rule(&rule(), |bench| {
        for packet in &all {
            assert_eq!(bench.leave(packet), PASS);
        }
        assert_eq!(bench.leave(&icmp6(128).bytes()), SHOT, "a ping is no discovery");
        assert_eq!(bench.leave(&icmp6(138).bytes()), SHOT);
        assert_eq!(bench.leave(&to_port(TCP, V4, 67).bytes()), SHOT, "TCP is no DHCP");
        let v4 = Packet::raw(ICMP, V4[0], V4[1], vec![135, 0, 0, 0]);
        assert_eq!(bench.leave(&v4.bytes()), SHOT, "ICMPv4 has no discovery");
    });
    assert_eq!(counted.protected, all.len() as u64);
    assert_eq!(counted.matched, 4);

    let mut forced = rule();
    forced.force = true;
    bench.with_rule(&forced, |bench| {
        for packet in &all {
            assert_eq!(bench.leave(packet), SHOT);
        }
    });
}

#[test]
fn protocols() {
    let Some(bench) = Bench::new() else { return };
    let packets = [
        (Proto::Tcp, to_port(TCP, V4, 1)),
        (Proto::Udp, to_port(UDP, V6, 1)),
        (Proto::Icmp, Packet::raw(ICMP, V4[0], V4[1], vec![8, 0, 0, 0])),
        (Proto::Icmp, Packet::raw(ICMPV6, V6[0], V6[1], vec![128, 0, 0, 0])),
    ];
    for wanted in [Proto::Tcp, Proto::Udp, Proto::Icmp] {
        let mut spec = rule();
        spec.proto = Some(wanted);
        bench.with_rule(&spec, |bench| {
            for (proto, packet) in &packets {
                let verdict = if *proto == wanted { SHOT } else { PASS };
                assert_eq!(bench.leave(&packet.bytes()), verdict, "{wanted:?} {proto:?}");
            }
            let esp = Packet::raw(50, V4[0], V4[1], vec![0; 16]);
            assert_eq!(bench.leave(&esp.bytes()), PASS);
        });
    }
}
