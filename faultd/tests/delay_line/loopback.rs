//! Every sort of local address comes back from the line.

use std::{fs, net::UdpSocket, time::Duration};

use faultd_tests::{Netns, command::run, traffic::UdpEcho};

use crate::{
    classifier::Match,
    setup::{Running, needs_privilege},
    wire::round_trips,
};

const DELAY: Duration = Duration::from_millis(2);

fn sysctl(name: &str) -> String {
    format!("/proc/sys/net/ipv4/conf/{name}")
}

fn routing() -> Vec<String> {
    let keys = ["lo/accept_local", "lo/route_localnet"];
    keys.iter().map(|key| fs::read_to_string(sysctl(key)).unwrap()).collect()
}

#[test]
fn packets_between_local_addresses_come_back() {
    needs_privilege!();
    let here = Netns::enter();
    let _peer = here.peer(); // gives the namespace addresses beside loopback's
    run("ip address add 198.51.100.7/32 dev lo");
    let before = routing();
    for rp_filter in ["0", "1", "2"] {
        fs::write(sysctl("all/rp_filter"), rp_filter).unwrap();
        fs::write(sysctl("lo/rp_filter"), rp_filter).unwrap();
        for (server, client) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.5.6.7", "127.0.0.9"),
            ("10.77.0.1", "10.77.0.1"),
            ("10.77.0.1", "127.0.0.1"),
            ("127.0.0.1", "10.77.0.1"),
            ("198.51.100.7", "10.77.0.1"),
            ("[::1]", "[::1]"),
            ("[fd77::1]", "[fd77::1]"),
            ("[fd77::1]", "[::1]"),
        ] {
            let server = UdpEcho::bind(&format!("{server}:0"));
            let socket = UdpSocket::bind(format!("{client}:0")).unwrap();
            socket.connect(server.address()).unwrap();
            let running = Running::new().egress("lo", Match::From(server.port()), DELAY);
            for length in [1, 1400, 9000, 60_000] {
                for trip in round_trips(&socket, length, 3) {
                    assert!(trip >= DELAY, "{client} to {}: {trip:?}", server.address());
                }
            }
            drop(running);
            assert_eq!(routing(), before, "sysctls were not put back");
        }
    }
}
