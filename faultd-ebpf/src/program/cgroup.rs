//! The hooks at sockets, attached to the root of cgroup v2 while a rule names
//! processes and drops.

use aya_ebpf::{
    EbpfContext as _, bindings::__sk_buff, macros::cgroup_skb, programs::SkBuffContext,
};
use faultd_abi::{HOOK_CG_EGRESS, HOOK_CG_INGRESS};

use crate::{
    index::look_up,
    maps::{BYPASS_MARK, CONFIG},
    parse::parse,
    walk::Walk,
};

const PASS: i32 = 1;

/// Drop, and tell the sender of congestion instead of EPERM, as if a device's
/// queue had been full: a datagram's loss must not show in sendto(2).
/// (`BPF_PROG_CGROUP_INET_EGRESS_RUN_ARRAY`, include/linux/bpf-cgroup.h.)
const DROP_QUIETLY: i32 = 2;

const DROP: i32 = 0;

/// Packets that leave a socket.
#[cgroup_skb(egress)]
pub fn cg_egress(ctx: SkBuffContext) -> i32 {
    if is_dropped(ctx.as_ptr().cast(), HOOK_CG_EGRESS) { DROP_QUIETLY } else { PASS }
}

/// Packets that arrive at a socket.
#[cgroup_skb(ingress)]
pub fn cg_ingress(ctx: SkBuffContext) -> i32 {
    if is_dropped(ctx.as_ptr().cast(), HOOK_CG_INGRESS) { DROP } else { PASS }
}

#[inline(always)]
fn is_dropped(skb: *mut __sk_buff, hook: u8) -> bool {
    // SAFETY: the context of the running program.
    if unsafe { (*skb).mark } & BYPASS_MARK.load() != 0 {
        return false;
    }
    let Some(config) = CONFIG.get(0) else { return false };
    if config.dimensions == 0 {
        return false;
    }
    let Some(packet) = parse(skb, hook) else { return false };
    let mut walk = Walk::new(packet);
    look_up(skb, config, &mut walk);
    walk.verdict.drop != 0
}
