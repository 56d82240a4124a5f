//! The hook at sockets for what arrives, attached to the root of cgroup v2
//! while a rule names the owners of sockets and drops.
//!
//! There is none for what leaves: a drop there is an answer to the sender, which
//! [`super::classifier`] explains; packets that leave still have an owner on the
//! interface.

use aya_ebpf::{
    EbpfContext as _, bindings::__sk_buff, macros::cgroup_skb, programs::SkBuffContext,
};
use faultd_abi::HOOK_CG_INGRESS;

use crate::{
    index::look_up,
    maps::{BYPASS_MARK, CONFIG},
    parse::parse,
    quick::{self, BARE},
    walk::Walk,
};

const DROP: i32 = 0;
const PASS: i32 = 1;

/// Packets that arrive at a socket.
#[cgroup_skb(ingress)]
pub fn cg_ingress(ctx: SkBuffContext) -> i32 {
    if is_dropped(ctx.as_ptr().cast()) { DROP } else { PASS }
}

#[inline(always)]
fn is_dropped(skb: *mut __sk_buff) -> bool {
    // SAFETY: the context of the running program.
    if unsafe { (*skb).mark } & BYPASS_MARK.load() != 0 {
        return false;
    }
    let Some(config) = CONFIG.get(0) else { return false };
    if config.dimensions == 0 {
        return false;
    }
    let mut walk = Walk::new(HOOK_CG_INGRESS);
    if !quick::parse::<BARE>(skb, &mut walk.packet) && !parse(skb, &mut walk.packet) {
        return false;
    }
    look_up(skb, &mut walk);
    walk.verdict.drop != 0
}
