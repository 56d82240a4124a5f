//! For privileged unit tests: namespaces that vanish with their last user.

use std::thread;

use nix::sched::{CloneFlags, unshare};

use super::{
    links,
    netlink::{Request, Socket},
    netns::Netns,
};

/// Says why a test did not run; the test tiers count these lines.
pub(crate) fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// A fresh network namespace that lives as long as the value, or `None`
/// without the privilege.
pub(crate) fn private_netns() -> Option<Netns> {
    thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).ok()?;
        Netns::current().ok()
    })
    .join()
    .ok()
    .flatten()
}

/// Linux `include/uapi/linux/if_link.h`, `include/uapi/linux/veth.h`.
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;

/// `struct ifinfomsg`.
fn ifinfomsg(ifindex: u32, flags: i32) -> [u8; 16] {
    let mut out = [0; 16];
    out[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    out[8..12].copy_from_slice(&flags.to_ne_bytes());
    out[12..16].copy_from_slice(&flags.to_ne_bytes());
    out
}

/// Adds a veth pair, both ends in `netns` and up; false where the kernel has
/// none.
pub(crate) fn add_veth_pair(netns: &Netns, a: &str, b: &str) -> bool {
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let mut request = Request::new(libc::RTM_NEWLINK, flags, &ifinfomsg(0, 0));
    request.attr_str(IFLA_IFNAME, a).nest(IFLA_LINKINFO, |info| {
        info.attr_str(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
            data.nest(VETH_INFO_PEER, |peer| {
                peer.raw(&ifinfomsg(0, 0)).attr_str(IFLA_IFNAME, b);
            });
        });
    });
    let mut socket = Socket::route(netns).unwrap();
    match socket.request(request) {
        Ok(()) => {
            set_up(netns, a);
            set_up(netns, b);
            true
        }
        Err(e) if e.errno == nix::errno::Errno::EOPNOTSUPP => false,
        Err(e) => panic!("cannot add a veth pair: {e}"),
    }
}

/// Deletes an interface.
pub(crate) fn del_link(netns: &Netns, ifindex: u32) {
    let request = Request::new(libc::RTM_DELLINK, 0, &ifinfomsg(ifindex, 0));
    Socket::route(netns).unwrap().request(request).unwrap();
}

/// Sets an interface up.
pub(crate) fn set_up(netns: &Netns, name: &str) {
    let link = links::by_name(netns, name).unwrap();
    let request = Request::new(libc::RTM_NEWLINK, 0, &ifinfomsg(link.ifindex, libc::IFF_UP));
    Socket::route(netns).unwrap().request(request).unwrap();
}
