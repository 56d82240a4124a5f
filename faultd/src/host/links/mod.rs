//! Network interfaces: what a namespace has, and word of what changes.

mod watch;

use crate::host::{
    netlink::{Attrs, NetlinkError, Request, Socket, u16_at, u32_at},
    netns::Netns,
};

pub use watch::{LinkEvent, LinkWatch};

/// `sizeof(struct ifinfomsg)`, Linux `include/uapi/linux/rtnetlink.h`.
const IFINFOMSG_BYTES: usize = 16;
/// Attributes, Linux `include/uapi/linux/if_link.h`.
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_QDISC: u16 = 6;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const IFLA_INFO_KIND: u16 = 1;

/// Why an interface could not be found.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is none of that name; says which there are.
    #[error("no interface {name:?} in {netns}; there are {known}")]
    NotFound {
        /// What was looked for.
        name: String,
        /// Where.
        netns: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// The kernel refused the list.
    #[error("cannot list the interfaces of {netns}: {source}")]
    List {
        /// Where.
        netns: String,
        /// The kernel's answer.
        #[source]
        source: NetlinkError,
    },
}

/// What an interface's frames start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// An Ethernet header (loopback too: an all-zero one).
    Ethernet,
    /// An IP packet, without any header before it (tun, WireGuard, IPIP, PPP).
    L3,
    /// Something else (InfiniBand, monitoring Wi-Fi, …), by its ARPHRD_ number.
    Other(u16),
}

impl Framing {
    /// From the hardware type, Linux `include/uapi/linux/if_arp.h`.
    fn from_hardware_type(arphrd: u16) -> Self {
        match arphrd {
            1 | 772 => Self::Ethernet, // ETHER, LOOPBACK
            // PPP, RAWIP, TUNNEL, TUNNEL6, SIT, NONE; the GRE types carry a
            // link layer of their own and are not among them.
            512 | 519 | 768 | 769 | 776 | 0xfffe => Self::L3,
            other => Self::Other(other),
        }
    }
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number, unique within its namespace.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Other names it answers to.
    pub alt_names: Vec<String>,
    /// Set up by the administrator (IFF_UP).
    pub up: bool,
    /// A loopback device (IFF_LOOPBACK).
    pub loopback: bool,
    /// What its frames start with.
    pub framing: Framing,
    /// The bridge, bond or VRF that it is a port of.
    pub master: Option<u32>,
    /// The device under a stacked one (VLAN, macvlan, tunnel), in the same
    /// namespace. The other end of a veth pair is not one.
    pub lower: Option<u32>,
    /// `veth`, `bridge`, `tun`, …; absent for hardware and loopback.
    pub kind: Option<String>,
    /// In bytes.
    pub mtu: u32,
    /// Kind of the root qdisc (`noqueue`, `fq_codel`, …).
    pub root_qdisc: String,
}

impl Link {
    /// Whether `name` is its name or one of its alternative names.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.alt_names.iter().any(|n| n == name)
    }
}

/// The interfaces of a namespace, by number.
///
/// # Errors
/// The kernel's answer.
pub fn list(netns: &Netns) -> Result<Vec<Link>, LinkError> {
    let wrap = |source| LinkError::List { netns: netns.to_string(), source };
    let mut socket = Socket::route(netns).map_err(wrap)?;
    let mut links = Vec::new();
    socket
        .dump(Request::new(libc::RTM_GETLINK, 0, &[0; IFINFOMSG_BYTES]), |kind, payload| {
            if kind == libc::RTM_NEWLINK {
                links.extend(parse(payload));
            }
        })
        .map_err(wrap)?;
    links.sort_unstable_by_key(|l| l.ifindex);
    Ok(links)
}

/// The interface of that name in a namespace.
///
/// # Errors
/// When there is none (says which there are), or the kernel's answer.
pub fn by_name(netns: &Netns, name: &str) -> Result<Link, LinkError> {
    let mut links = list(netns)?;
    if let Some(at) = links.iter().position(|l| l.is_named(name)) {
        return Ok(links.swap_remove(at));
    }
    let known = links.iter().map(|l| l.name.as_str()).collect::<Vec<_>>().join(", ");
    Err(LinkError::NotFound { name: name.to_owned(), netns: netns.to_string(), known })
}

fn parse(payload: &[u8]) -> Option<Link> {
    let family = *payload.first()?;
    if i32::from(family) != libc::AF_UNSPEC {
        return None; // a bridge's view of its port
    }
    let flags = u32_at(payload, 8)?;
    let has = |flag: i32| flags & flag as u32 != 0;
    let ifindex = u32_at(payload, 4)?;
    let attrs = Attrs::after(payload, IFINFOMSG_BYTES);
    let kind =
        attrs.find(IFLA_LINKINFO).and_then(|info| Attrs::after(info, 0).text(IFLA_INFO_KIND));
    let elsewhere = attrs.find(IFLA_LINK_NETNSID).is_some() || kind.as_deref() == Some("veth");
    let lower = attrs.u32(IFLA_LINK).filter(|i| *i != 0 && *i != ifindex && !elsewhere);
    let alt_names = attrs.find(IFLA_PROP_LIST).map(alt_names).unwrap_or_default();
    Some(Link {
        ifindex,
        name: attrs.text(IFLA_IFNAME)?,
        alt_names,
        up: has(libc::IFF_UP),
        loopback: has(libc::IFF_LOOPBACK),
        framing: Framing::from_hardware_type(u16_at(payload, 2)?),
        master: attrs.u32(IFLA_MASTER).filter(|i| *i != 0),
        lower,
        kind,
        mtu: attrs.u32(IFLA_MTU).unwrap_or(0),
        root_qdisc: attrs.text(IFLA_QDISC).unwrap_or_default(),
    })
}

fn alt_names(list: &[u8]) -> Vec<String> {
    Attrs::after(list, 0)
        .filter(|(kind, _)| *kind == IFLA_ALT_IFNAME)
        .map(|(_, name)| String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
        .collect()
}

#[cfg(test)]
mod tests;
