//! The way back in: a packet that was held on arrival comes out of a TAP of
//! the delay line and goes on as if the original interface had received it.

use aya_ebpf::{
    bindings::{BPF_F_INGRESS, TC_ACT_SHOT},
    helpers::bpf_redirect,
    macros::classifier,
    programs::TcContext,
};

use crate::maps::{BYPASS_MARK, TAP_TARGETS};

/// Sits on arrival at the TAPs of the delay line, and there alone.
#[classifier]
pub fn tap_ingress(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    // SAFETY: the context of the running program.
    let ifindex = unsafe { (*skb).ifindex };
    let Some(target) = TAP_TARGETS.get_ptr(&ifindex) else { return TC_ACT_SHOT };
    // SAFETY: the context of the running program.
    unsafe { (*skb).mark |= BYPASS_MARK.load() };
    // SAFETY: the map's element; one word that never changes.
    unsafe { bpf_redirect(*target, u64::from(BPF_F_INGRESS)) as i32 }
}
