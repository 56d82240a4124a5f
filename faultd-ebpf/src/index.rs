//! From a packet to the rules that may concern it. The work depends on how
//! many kinds of keys are in use and on how many rules share one key, not on
//! how many rules there are.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::__sk_buff,
    helpers::{bpf_get_socket_uid, bpf_loop, bpf_sk_storage_get, bpf_skb_ancestor_cgroup_id},
    maps::lpm_trie::Key,
};
use faultd_abi::{
    Address, Config, DIM_CGROUP, DIM_INTERFACE, DIM_PIDS, DIM_PORT, DIM_REMOTE, DIM_UID, DIM_WILD,
    FILTER_ALL, FILTER_CGROUP, FILTER_INTERFACE, FILTER_LENGTHS, FILTER_USER, FilterBit,
    HOOK_CG_INGRESS, HOOK_TC_EGRESS, HOOK_TC_INGRESS, Head, NO_NODE, REMOTE_INGRESS_VIEW, SLOTS,
    filter_lengths,
};

use crate::{
    action,
    maps::{
        CGROUP_HEADS, CLASS_HEADS, CONFIG, FILTER, INTERFACE_HEADS, NODES, PID_CLASS, PORT_HEADS,
        PREFIX_ENTRIES, PREFIX_TRIE, RULES, SOCK_TAG, UID_HEADS,
    },
    matching::matches,
    walk::{NO_UID, Walk},
};

/// Dimensions that look at the socket.
const SOCKET_DIMENSIONS: u32 = DIM_CGROUP | DIM_UID | DIM_PIDS;

/// Candidates of one packet: every rule, and every prefix that leads on.
const MAX_STEPS: u32 = SLOTS * 2;

/// States of what stands in for a socket while a connection begins or lingers
/// (TCP_TIME_WAIT, TCP_NEW_SYN_RECV; include/net/tcp_states.h): it has no owner.
const MINI_SOCKETS: u32 = 1 << 6 | 1 << 12;

/// Levels of cgroups that `Config::cgroup_levels` can name.
const CGROUP_LEVELS: u32 = u32::BITS;

/// Tries all rules that may concern the packet.
#[inline(always)]
pub fn look_up(skb: *mut __sk_buff, walk: &mut Walk) {
    faultd_look_up(skb, walk);
}

/// A global function (see [`crate::sets`]): the verifier looks at it once, not once for each way
/// in which a packet can have been parsed.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn faultd_look_up(skb: *mut __sk_buff, walk: *mut Walk) -> u32 {
    let Some(config) = CONFIG.get(0) else { return 0 };
    if walk.is_null() {
        return 0;
    }
    // SAFETY: not null, and the caller's own.
    try_all(skb, config, unsafe { &mut *walk });
    0
}

#[inline(always)]
fn try_all(skb: *mut __sk_buff, config: &Config, walk: &mut Walk) {
    let dimensions = config.dimensions;
    if dimensions & SOCKET_DIMENSIONS != 0 {
        by_socket(skb, config, walk);
    }
    if dimensions & DIM_PORT != 0 && walk.packet.has_ports() {
        let (source, destination) = (walk.packet.ports.source, walk.packet.ports.destination);
        follow(walk, port_head(source), 0, 0);
        if destination != source {
            follow(walk, port_head(destination), 0, 1);
        }
    }
    if dimensions & DIM_REMOTE != 0 {
        by_remote(config, walk);
    }
    if dimensions & DIM_INTERFACE != 0 {
        by_interface(walk);
    }
    if dimensions & DIM_WILD != 0 {
        follow(walk, config.wild, 0, 0);
    }
}

#[inline(always)]
fn port_head(port: u16) -> Head {
    PORT_HEADS.get(u32::from(port)).copied().unwrap_or(Head::EMPTY)
}

#[inline(always)]
fn by_interface(walk: &mut Walk) {
    let ifindex = walk.packet.ifindex;
    if is_set(FilterBit::of(FILTER_INTERFACE, [u64::from(ifindex), 0])) {
        // SAFETY: one word, copied at once.
        let head = unsafe { INTERFACE_HEADS.get(&ifindex) }.copied().unwrap_or(Head::EMPTY);
        follow(walk, head, 0, 0);
    }
}

#[inline(always)]
fn by_remote(config: &Config, walk: &mut Walk) {
    const ARRIVING: u8 = HOOK_TC_INGRESS | HOOK_CG_INGRESS;
    let hooks = walk.packet.hooks;
    if hooks & ARRIVING != hooks {
        by_address(config, walk, walk.packet.destination, 0);
    }
    if hooks & ARRIVING == 0 {
        return;
    }
    let on_loopback = hooks & HOOK_TC_EGRESS != 0;
    if !on_loopback {
        by_address(config, walk, walk.packet.source, 0);
    } else if config.flags & REMOTE_INGRESS_VIEW != 0 {
        by_address(config, walk, walk.packet.source, 1);
    }
}

#[inline(always)]
fn by_address(config: &Config, walk: &mut Walk, address: Address, second: u32) {
    if !may_be_covered(config.filter_lengths, &address) {
        return;
    }
    let Some(entry) = PREFIX_TRIE.get(Key::new(128, address)) else { return };
    if let Some(entry) = PREFIX_ENTRIES.get(*entry) {
        follow(walk, entry.head, entry.parent, second);
    }
}

/// Whether there may be a prefix that covers an address.
#[inline(always)]
fn may_be_covered(lengths: u32, address: &Address) -> bool {
    if lengths & FILTER_ALL != 0 {
        return true;
    }
    let lengths = lengths & filter_lengths(address);
    for n in 0..FILTER_LENGTHS.len() {
        if lengths >> n & 1 != 0 && is_set(FilterBit::of_address(n, address)) {
            return true;
        }
    }
    false
}

#[inline(always)]
fn is_set(bit: FilterBit) -> bool {
    FILTER.get(bit.word()).is_some_and(|word| word & bit.mask() != 0)
}

#[inline(always)]
fn by_socket(skb: *mut __sk_buff, config: &Config, walk: &mut Walk) {
    // SAFETY: the context of the running program.
    let sk = unsafe { (*skb).__bindgen_anon_2.sk };
    if sk.is_null() {
        return;
    }
    // SAFETY: not null.
    if 1 << unsafe { (*sk).state } & MINI_SOCKETS != 0 {
        return;
    }
    if config.dimensions & DIM_UID != 0 {
        // SAFETY: the context of the running program.
        let uid = unsafe { bpf_get_socket_uid(skb) };
        walk.uid = uid;
        if uid != NO_UID && is_set(FilterBit::of(FILTER_USER, [u64::from(uid), 0])) {
            // Keys are from the stack: before 6.2 the verifier takes no other memory of the
            // caller's for them (`map_key_value_types`, kernel/bpf/verifier.c).
            // SAFETY: one word, copied at once.
            let head = unsafe { UID_HEADS.get(&uid) }.copied().unwrap_or(Head::EMPTY);
            follow(walk, head, 0, 0);
        }
    }
    if config.dimensions & DIM_PIDS != 0 {
        // SAFETY: a socket; the map is one of socket storage.
        let tag = unsafe {
            let map = core::ptr::from_ref(&SOCK_TAG).cast_mut().cast::<c_void>();
            bpf_sk_storage_get(map, sk.cast(), core::ptr::null_mut(), 0).cast::<u32>()
        };
        if !tag.is_null() {
            // SAFETY: not null, lives as long as the socket. The heads are
            // words that are copied at once.
            let head = unsafe { PID_CLASS.get(&*tag).and_then(|class| CLASS_HEADS.get(class)) };
            follow(walk, head.copied().unwrap_or(Head::EMPTY), 0, 0);
        }
    }
    if config.dimensions & DIM_CGROUP != 0 {
        by_cgroup(skb, config.cgroup_levels, walk);
    }
}

/// From the root to the socket's cgroup, the levels that rules are for.
#[inline(always)]
fn by_cgroup(skb: *mut __sk_buff, levels: u32, walk: &mut Walk) {
    for level in 0..CGROUP_LEVELS {
        if levels >> level == 0 {
            return;
        }
        if levels >> level & 1 == 0 {
            continue;
        }
        // SAFETY: the context of the running program; 0 if there is no such level.
        let id = unsafe { bpf_skb_ancestor_cgroup_id(skb, level as i32) };
        if !is_set(FilterBit::of(FILTER_CGROUP, [id, 0])) {
            continue;
        }
        // SAFETY: one word, copied at once.
        let head = unsafe { CGROUP_HEADS.get(&id) }.copied().unwrap_or(Head::EMPTY);
        follow(walk, head, 0, 0);
    }
}

/// Tries the rules of a list, and then those of the prefixes that cover it.
#[inline(always)]
fn follow(walk: &mut Walk, head: Head, parent: u32, second: u32) {
    if head.first() == NO_NODE && parent == 0 {
        return;
    }
    faultd_follow(walk, head.0, parent, second);
}

/// A global function (see [`crate::sets`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn faultd_follow(walk: *mut Walk, head: u64, parent: u32, second: u32) -> u32 {
    if walk.is_null() {
        return 0;
    }
    // SAFETY: not null, and the caller's own.
    let mut walk = unsafe { &mut *walk };
    walk.node = Head(head).first();
    walk.tag = Head(head).tag();
    walk.parent = parent;
    walk.second = second;
    // bpf_loop (kernel 5.17) has the verifier look at a step once, not once for
    // each candidate that there may be. It insists on a pointer to the stack.
    // SAFETY: the callback takes what it is given here.
    unsafe {
        bpf_loop(MAX_STEPS, step as *mut c_void, core::ptr::from_mut(&mut walk).cast(), 0);
    }
    0
}

/// One candidate. Not 0 ends the loop.
unsafe extern "C" fn step(_index: u32, walk: *mut &mut Walk) -> i64 {
    // SAFETY: handed through by `bpf_loop`, which does not outlive it.
    let walk: &mut Walk = unsafe { *walk };
    if walk.node == NO_NODE {
        return i64::from(!climb(walk));
    }
    let Some(node) = NODES.get(walk.node) else { return 1 };
    if node.tag != walk.tag {
        // The list changed under our feet; see `faultd_abi::Node`.
        return 1;
    }
    walk.node = node.next;
    let slot = node.slot;
    if let Some(rule) = RULES.get(slot) {
        if rule.generation == node.generation && matches(rule, slot, walk) {
            action::apply(rule, slot, walk);
        }
    }
    0
}

/// Goes on to the next shorter prefix, if there is one.
#[inline(always)]
fn climb(walk: &mut Walk) -> bool {
    if walk.parent == 0 {
        return false;
    }
    let Some(entry) = PREFIX_ENTRIES.get(walk.parent) else { return false };
    walk.node = entry.head.first();
    walk.tag = entry.head.tag();
    walk.parent = entry.parent;
    true
}
