//! A rule as the faults see it, and its form in the rule table.

use std::net::SocketAddr;

use faultd_abi as abi;
use faultd_api::{Direction, Distribution, GeModel, LatencyParams, PortSet, Proto};
use ipnet::IpNet;

use super::{PlaneError, address};

/// Where a rule is evaluated, and so in which directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hooks(u8);

impl Hooks {
    /// On interfaces.
    pub const fn classifier(direction: Direction) -> Self {
        Self(match direction {
            Direction::Egress => abi::HOOK_TC_EGRESS,
            Direction::Ingress => abi::HOOK_TC_INGRESS,
            Direction::Both => abi::HOOK_TC_EGRESS | abi::HOOK_TC_INGRESS,
        })
    }

    /// For a rule that names the owners of sockets and drops.
    ///
    /// What arrives has an owner only once it is at the socket. What leaves
    /// still has one on the interface, and is better dropped there: a drop at
    /// the socket's own hook is an answer to the sender, whose TCP would then
    /// keep the segment and lose nothing.
    pub const fn owned(direction: Direction) -> Self {
        Self(match direction {
            Direction::Egress => abi::HOOK_TC_EGRESS,
            Direction::Ingress => abi::HOOK_CG_INGRESS,
            Direction::Both => abi::HOOK_TC_EGRESS | abi::HOOK_CG_INGRESS,
        })
    }

    /// Those on interfaces alone. The hook at sockets sees every network
    /// namespace, so a rule for several has it in the first of them, and this
    /// in the others.
    #[must_use]
    pub const fn on_interfaces(self) -> Self {
        Self(self.0 & (abi::HOOK_TC_EGRESS | abi::HOOK_TC_INGRESS))
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the hook at sockets is among them.
    pub const fn at_sockets(self) -> bool {
        self.0 & abi::HOOK_CG_INGRESS != 0
    }

    /// The `HOOK_*` bits.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }
}

/// Whose packets a rule matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Anybody's.
    Any,
    /// Those of sockets in a cgroup v2 and below.
    Cgroup {
        /// Its id: the inode number of its folder.
        id: u64,
        /// How far below the root it is; the root is at 0.
        level: u32,
    },
    /// Those of a user's sockets.
    Uid(u32),
    /// Those of sockets that these processes, or children that they have from
    /// now on, make or have made.
    Pids(Vec<u32>),
}

/// Which packets are lost.
#[derive(Debug, Clone, PartialEq)]
pub enum Loss {
    /// At random.
    Random {
        /// Share of packets lost, in percent.
        percent: f64,
        /// Probability that the previous decision is repeated, in percent.
        correlation: f64,
    },
    /// In bursts.
    GilbertElliott(GeModel),
    /// Each n-th.
    Every(u32),
}

/// Who holds a delayed packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The delay line.
    Line,
    /// The `fq` qdisc.
    Edt,
    /// A netem qdisc.
    Netem {
        /// The class that leads to it, `major << 16 | minor`.
        classid: u32,
    },
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Drop every packet.
    Drop,
    /// Drop some.
    Loss(Loss),
    /// Hold packets.
    Delay(LatencyParams, Via),
}

/// A TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// This host's end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

/// A rule. Sets that are absent or empty match everything.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSpec {
    /// Where it is evaluated.
    pub hooks: Hooks,
    /// Interfaces; empty: every one that is up, and those that come up later.
    pub ifindexes: Vec<u32>,
    /// Protocol.
    pub proto: Option<Proto>,
    /// Ports at either end.
    pub port: Option<PortSet>,
    /// Ports at this host's end.
    pub local_port: Option<PortSet>,
    /// Ports at the other end.
    pub remote_port: Option<PortSet>,
    /// Ports at either end that are left alone.
    pub except_port: Option<PortSet>,
    /// Addresses of the other end.
    pub remotes: Vec<IpNet>,
    /// Addresses of the other end that are left alone.
    pub except_remotes: Vec<IpNet>,
    /// Whose packets.
    pub scope: Scope,
    /// And the socket's user.
    pub uid: Option<u32>,
    /// CLOCK_BOOTTIME in nanoseconds from which on it does nothing.
    pub expires_boot_ns: u64,
    /// Seed of its random decisions.
    pub seed: u64,
    /// Match neighbour discovery, DHCP and exempt flows too.
    pub force: bool,
    /// On loopback, match `port` one way only, so that a round trip is hit
    /// once: leaving packets by their source port, arriving ones by their
    /// destination port.
    pub lo_from_port: bool,
    /// What happens.
    pub action: Action,
}

impl RuleSpec {
    /// Whether it is for every interface, those to come included.
    pub(super) const fn is_open(&self) -> bool {
        self.ifindexes.is_empty() && !self.hooks.on_interfaces().is_empty()
    }

    /// Whether its packets go through the delay line.
    pub(super) const fn uses_line(&self) -> bool {
        matches!(self.action, Action::Delay(_, Via::Line))
    }

    /// Its form in the rule table, less generation and index flags.
    ///
    /// # Errors
    /// When a set has more members than a rule can hold.
    pub(super) fn encode(&self) -> Result<abi::Rule, PlaneError> {
        let mut rule = abi::Rule {
            expires_boot_ns: self.expires_boot_ns,
            seed: self.seed,
            hooks: self.hooks.bits(),
            protocols: protocols(self.proto),
            ..abi::Rule::FREE
        };
        if self.force {
            rule.flags |= abi::FLAG_FORCE;
        }
        if self.lo_from_port {
            rule.flags |= abi::FLAG_LO_FROM_PORT;
        }
        self.encode_scope(&mut rule);
        encode_action(&self.action, &mut rule);
        rule.interface_count = fill("interfaces", &mut rule.interfaces, &self.ifindexes)?;
        rule.port_count = fill("port ranges", &mut rule.ports, &ranges(&self.port))?;
        rule.local_port_count =
            fill("local port ranges", &mut rule.local_ports, &ranges(&self.local_port))?;
        rule.remote_port_count =
            fill("remote port ranges", &mut rule.remote_ports, &ranges(&self.remote_port))?;
        rule.except_port_count =
            fill("excepted port ranges", &mut rule.except_ports, &ranges(&self.except_port))?;
        rule.remote_count = fill("remote addresses", &mut rule.remotes, &prefixes(&self.remotes))?;
        rule.except_remote_count = fill(
            "excepted remote addresses",
            &mut rule.except_remotes,
            &prefixes(&self.except_remotes),
        )?;
        Ok(rule)
    }

    fn encode_scope(&self, rule: &mut abi::Rule) {
        match self.scope {
            Scope::Any => rule.scope = abi::SCOPE_ANY,
            Scope::Cgroup { id, .. } => {
                rule.scope = abi::SCOPE_CGROUP;
                rule.cgroup = id;
            }
            Scope::Uid(uid) => {
                rule.scope = abi::SCOPE_UID;
                rule.uid = uid;
                rule.flags |= abi::FLAG_CHECK_UID;
            }
            Scope::Pids(_) => rule.scope = abi::SCOPE_PIDS,
        }
        if let Some(uid) = self.uid {
            rule.uid = uid;
            rule.flags |= abi::FLAG_CHECK_UID;
        }
    }
}

const fn protocols(proto: Option<Proto>) -> u8 {
    match proto {
        None => abi::PROTO_TCP | abi::PROTO_UDP | abi::PROTO_ICMP | abi::PROTO_OTHER,
        Some(Proto::Tcp) => abi::PROTO_TCP,
        Some(Proto::Udp) => abi::PROTO_UDP,
        Some(Proto::Icmp) => abi::PROTO_ICMP,
    }
}

fn ranges(set: &Option<PortSet>) -> Vec<abi::PortRange> {
    let ranges = set.iter().flat_map(|set| set.ranges());
    ranges.map(|range| abi::PortRange { first: range.low, last: range.high }).collect()
}

/// Without those that another one covers.
pub(super) fn prefixes(nets: &[IpNet]) -> Vec<abi::Prefix> {
    IpNet::aggregate(&nets.to_vec()).iter().map(|net| address::prefix(*net).0).collect()
}

fn fill<T: Copy>(what: &'static str, to: &mut [T], from: &[T]) -> Result<u8, PlaneError> {
    let Some(room) = to.get_mut(..from.len()) else {
        return Err(PlaneError::TooMany { what, max: to.len(), got: from.len() });
    };
    room.copy_from_slice(from);
    // No set has more than 255 places.
    Ok(from.len() as u8)
}

fn encode_action(action: &Action, rule: &mut abi::Rule) {
    match action {
        Action::Drop => rule.action = abi::ACTION_DROP,
        Action::Loss(Loss::Random { percent, correlation }) => {
            rule.action = abi::ACTION_LOSS_RANDOM;
            rule.loss.probability = probability(*percent);
            rule.loss.correlation = probability(*correlation);
        }
        Action::Loss(Loss::GilbertElliott(model)) => {
            rule.action = abi::ACTION_LOSS_GEMODEL;
            rule.loss.good_to_bad = probability(model.p);
            rule.loss.bad_to_good = probability(model.r);
            rule.loss.loss_bad = probability(model.one_minus_h);
            rule.loss.loss_good = probability(model.one_minus_k);
        }
        Action::Loss(Loss::Every(n)) => {
            rule.action = abi::ACTION_LOSS_EVERY;
            rule.loss.every = u64::from(*n);
        }
        Action::Delay(params, via) => {
            rule.action = abi::ACTION_DELAY;
            rule.delay.ns = nanoseconds(params.ms);
            rule.delay.jitter_ns = nanoseconds(params.jitter_ms);
            rule.delay.correlation = probability(params.correlation.unwrap_or_default());
            rule.delay.distribution = distribution(params.distribution.unwrap_or_default());
            rule.via = match via {
                Via::Line => abi::VIA_LINE,
                Via::Edt => abi::VIA_EDT,
                Via::Netem { classid } => {
                    rule.delay.class = *classid;
                    abi::VIA_NETEM
                }
            };
        }
    }
}

/// Percent as fixed point; 100 % is exact.
fn probability(percent: f64) -> u64 {
    (percent / 100.0 * abi::PROBABILITY_ONE as f64).round() as u64
}

fn nanoseconds(ms: f64) -> u64 {
    (ms * 1e6).round() as u64
}

const fn distribution(shape: Distribution) -> u32 {
    match shape {
        Distribution::Uniform => abi::DISTRIBUTION_UNIFORM,
        Distribution::Normal => abi::DISTRIBUTION_NORMAL,
        Distribution::Pareto => abi::DISTRIBUTION_PARETO,
        Distribution::Paretonormal => abi::DISTRIBUTION_PARETONORMAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certainty_is_exact_and_small_shares_are_not_lost() {
        assert_eq!(probability(100.0), abi::PROBABILITY_ONE);
        assert_eq!(probability(50.0), abi::PROBABILITY_ONE / 2);
        assert_eq!(probability(0.0), 0);
        assert_eq!(probability(1e-4), 4295);
    }

    #[test]
    fn fractions_of_milliseconds_keep_their_nanoseconds() {
        assert_eq!(nanoseconds(0.01), 10_000);
        assert_eq!(nanoseconds(60_000.0), 60_000_000_000);
    }

    #[test]
    fn a_prefix_inside_another_one_is_left_out() {
        let nets: Vec<IpNet> = ["10.1.0.0/16", "10.0.0.0/8", "2001:db8::1/128"]
            .iter()
            .map(|net| net.parse().unwrap())
            .collect();
        assert_eq!(prefixes(&nets).len(), 2);
    }
}
