//! Clients and servers over each kind of way that the tests cover.

use std::net::SocketAddr;

use crate::{
    World,
    clock::{ms, to_ms},
    netns, slow,
    traffic::{Pinger, TcpEcho, UdpEcho, median},
};

/// How client and server are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Loopback, IPv4.
    Lo4,
    /// Loopback, IPv6.
    Lo6,
    /// The veth pair, IPv4; the server is the peer.
    Veth4,
    /// The veth pair, IPv6; the server is the peer.
    Veth6,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lo4, Self::Lo6, Self::Veth4, Self::Veth6];

    /// Where the server binds.
    pub fn server(self) -> &'static str {
        match self {
            Self::Lo4 => "127.0.0.1",
            Self::Lo6 => "::1",
            Self::Veth4 => netns::PEER_V4,
            Self::Veth6 => netns::PEER_V6,
        }
    }

    /// Whether the server is the peer.
    pub fn is_veth(self) -> bool {
        matches!(self, Self::Veth4 | Self::Veth6)
    }

    /// The interface that the client's packets leave by.
    pub fn dev(self) -> &'static str {
        if self.is_veth() { netns::HERE_DEV } else { "lo" }
    }

    /// A world with what this way needs.
    pub fn world(self) -> World {
        if self.is_veth() { World::with_peer() } else { World::new() }
    }

    /// The server's address with port 0.
    pub fn any(self) -> String {
        let server = self.server();
        if server.contains(':') { format!("[{server}]:0") } else { format!("{server}:0") }
    }

    /// Runs something where the server lives.
    pub fn at_server<T: Send>(self, world: &World, make: impl FnOnce(&str) -> T + Send) -> T {
        let any = self.any();
        if self.is_veth() { world.peer().run(|| make(&any)) } else { make(&any) }
    }

    /// Servers of both protocols and clients connected to them.
    pub fn pair(self, world: &World) -> Pair {
        let (tcp, udp) = self.at_server(world, |any| (TcpEcho::bind(any), UdpEcho::bind(any)));
        Pair::with(tcp, udp)
    }
}

/// A TCP and a UDP server, each with a client on an open connection.
pub struct Pair {
    /// The TCP client.
    pub tcp: Pinger,
    /// The UDP client.
    pub udp: Pinger,
    /// Median round trip of both before any fault, in nanoseconds.
    pub normal: u64,
    servers: (TcpEcho, UdpEcho),
}

impl Pair {
    fn with(tcp: TcpEcho, udp: UdpEcho) -> Self {
        let mut pair = Self {
            tcp: Pinger::tcp(tcp.address()),
            udp: Pinger::udp(udp.address()),
            normal: 0,
            servers: (tcp, udp),
        };
        let mut both = pair.tcp.series(50);
        both.extend(pair.udp.series(50));
        pair.normal = median(&both);
        pair
    }

    /// Both ports, as `--port` takes them.
    pub fn ports(&self) -> String {
        format!("{},{}", self.servers.0.port(), self.servers.1.port())
    }

    /// Address of the TCP server.
    pub fn tcp_address(&self) -> SocketAddr {
        self.servers.0.address()
    }

    /// Address of the UDP server.
    pub fn udp_address(&self) -> SocketAddr {
        self.servers.1.address()
    }

    /// Fails unless round trips on both connections are `added` milliseconds
    /// longer than before.
    #[track_caller]
    pub fn assert_added(&mut self, added: f64, count: usize) {
        let normal = self.normal;
        for (name, pinger) in [("TCP", &mut self.tcp), ("UDP", &mut self.udp)] {
            assert_added(name, &pinger.series(count), normal, added);
        }
    }

    /// Fails unless round trips are what they were before any fault.
    #[track_caller]
    pub fn assert_normal(&mut self) {
        self.assert_added(0.0, 20);
    }
}

/// How much longer than asked the median may be, in milliseconds. Wide: tests
/// share the machine with others. The bench is where accuracy is measured.
pub fn tolerance_ms() -> f64 {
    6.0 * slow()
}

/// Fails unless no round trip is shorter than `added` milliseconds and their
/// median is not longer than that plus the normal one and the tolerance.
///
/// # Panics
/// When that is not so.
#[track_caller]
pub fn assert_added(name: &str, round_trips: &[u64], normal: u64, added: f64) {
    let shortest = round_trips.iter().copied().min().unwrap_or(0);
    let middle = to_ms(median(round_trips).saturating_sub(normal));
    assert!(
        shortest >= ms(added),
        "{name}: a round trip took {:.3} ms, less than the {added} ms of the fault",
        to_ms(shortest)
    );
    assert!(
        middle <= added + tolerance_ms(),
        "{name}: the median rose by {middle:.3} ms, asked for {added} ms"
    );
}
