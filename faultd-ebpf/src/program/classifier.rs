//! The classifiers on interfaces.

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::{
        bpf_ktime_get_ns, bpf_redirect, bpf_skb_change_head, bpf_skb_pull_data, bpf_skb_set_tstamp,
        bpf_skb_store_bytes,
    },
    macros::classifier,
    programs::TcContext,
};
use aya_log_ebpf::debug;
use faultd_abi::{
    Config, HEADLESS, HOOK_TC_EGRESS, HOOK_TC_INGRESS, LINE_META_LEN, LOOPBACK_IFINDEX, LineMeta,
    NOTE_LINE_FAILED, NOTE_NO_LINE, VIA_EDT, VIA_LINE, VIA_NETEM,
};

use crate::{
    index::look_up,
    maps::{BYPASS_MARK, CONFIG, ORIGINS, note},
    parse::parse,
    quick::{self, ETHERNET},
    walk::Walk,
};

/// The departure time is on the monotonic clock (include/uapi/linux/bpf.h).
const BPF_SKB_TSTAMP_DELIVERY_MONO: u32 = 1;

/// Interface indexes begin at 1.
const NO_DEVICE: u32 = 0;

/// Bytes that hold every header of an ordinary packet.
const HEADERS: u32 = 14 + 40 + 4;
/// Bytes that are made linear when less than that is.
const PULLED: u32 = 128;

/// Packets that leave an interface; on loopback also their arrival.
#[classifier]
pub fn tc_egress(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    // SAFETY: the context of the running program.
    let hooks = if unsafe { (*skb).ifindex } == LOOPBACK_IFINDEX {
        HOOK_TC_EGRESS | HOOK_TC_INGRESS
    } else {
        HOOK_TC_EGRESS
    };
    classify(&ctx, hooks)
}

/// Packets that arrive at an interface.
#[classifier]
pub fn tc_ingress(ctx: TcContext) -> i32 {
    classify(&ctx, HOOK_TC_INGRESS)
}

#[inline(always)]
fn classify(ctx: &TcContext, hooks: u8) -> i32 {
    let skb = ctx.skb.skb;
    // SAFETY: the context of the running program.
    if unsafe { (*skb).mark } & BYPASS_MARK.load() != 0 {
        return TC_ACT_UNSPEC;
    }
    let Some(config) = CONFIG.get(0) else { return TC_ACT_UNSPEC };
    if config.dimensions == 0 {
        return TC_ACT_UNSPEC;
    }
    make_linear(skb);
    let mut walk = Walk::new(hooks);
    let quickly = has_ethernet(skb, config) && quick::parse::<ETHERNET>(skb, &mut walk.packet);
    if !quickly && !parse(skb, &mut walk.packet) {
        return TC_ACT_UNSPEC;
    }
    look_up(skb, &mut walk);
    if walk.verdict.touched == 0 {
        return TC_ACT_UNSPEC;
    }
    act(ctx, config, hooks, &mut walk)
}

/// Whether packets begin with an Ethernet header here, which nothing in the
/// packet tells for certain.
#[inline(always)]
fn has_ethernet(skb: *mut __sk_buff, config: &Config) -> bool {
    if config.headless_count == 0 {
        return true;
    }
    // SAFETY: the context of the running program.
    let ifindex = unsafe { (*skb).ifindex };
    ifindex == LOOPBACK_IFINDEX
        || config.headless_count as usize <= HEADLESS && !config.headless.contains(&ifindex)
}

/// Some drivers leave the headers in a page fragment, out of the parser's
/// reach.
#[inline(always)]
fn make_linear(skb: *mut __sk_buff) {
    // SAFETY: the context of the running program. The pointers are only
    // subtracted.
    let (linear, len) = unsafe { ((*skb).data_end - (*skb).data, (*skb).len) };
    if linear < HEADERS && linear < len {
        // A failure shows in the parser.
        // SAFETY: invalidates packet pointers, of which there are none.
        unsafe { bpf_skb_pull_data(skb, if len < PULLED { len } else { PULLED }) };
    }
}

/// Carries out the verdict.
#[inline(always)]
fn act(ctx: &TcContext, config: &Config, hooks: u8, walk: &mut Walk) -> i32 {
    let skb = ctx.skb.skb;
    let verdict = &walk.verdict;
    let ifindex = walk.packet.ifindex;
    if verdict.drop != 0 {
        debug!(ctx, "if{}: dropped {} bytes", ifindex, walk.packet.len);
        return discard(hooks);
    }
    if verdict.delay_ns != 0 {
        debug!(ctx, "if{}: slot {} adds {} ns", ifindex, verdict.slot, verdict.delay_ns);
        match verdict.via {
            VIA_LINE => {
                if let Some(action) = to_line(skb, config, walk) {
                    return action;
                }
            }
            VIA_EDT => depart_later(skb, verdict.delay_ns),
            // SAFETY: the context of the running program.
            VIA_NETEM => unsafe { (*skb).priority = verdict.class },
            _ => {}
        }
    }
    if hooks == HOOK_TC_EGRESS {
        // A bridge or VLAN device hands the packet to the one below, where
        // the same rules would meet it again.
        // SAFETY: the context of the running program.
        unsafe { (*skb).mark |= BYPASS_MARK.load() };
    }
    TC_ACT_UNSPEC
}

/// Drops the packet, as a wire would.
///
/// TC_ACT_SHOT on egress is an answer to the sender: NET_XMIT_DROP. TCP would
/// take it for a full queue, keep the segment at the head of what is to be sent
/// and retransmit nothing, and a UDP socket with IP_RECVERR would get ENOBUFS.
/// netem hides its losses for this reason (`netem_enqueue`,
/// net/sched/sch_netem.c). A redirect to a device that does not exist frees the
/// packet and reports success (`skb_do_redirect`, net/core/filter.c,
/// `sch_handle_egress`, net/core/dev.c); TC_ACT_STOLEN would as well, but TCX
/// reads it as "next program".
#[inline(always)]
fn discard(hooks: u8) -> i32 {
    if hooks & HOOK_TC_EGRESS == 0 {
        return TC_ACT_SHOT;
    }
    // SAFETY: takes plain values.
    unsafe { bpf_redirect(NO_DEVICE, 0) as i32 }
}

/// Hands the packet to the delay line. `None`: it passes undelayed.
#[inline(always)]
fn to_line(skb: *mut __sk_buff, config: &Config, walk: &mut Walk) -> Option<i32> {
    let ifindex = walk.packet.ifindex;
    // SAFETY: copied at once; one word that never changes.
    let origins = unsafe { ORIGINS.get(&ifindex) }.copied().unwrap_or_default();
    let leaves = walk.packet.hooks & HOOK_TC_EGRESS != 0;
    let origin = if leaves { origins.egress } else { origins.ingress };
    if config.line_ifindex == 0 || origin == 0 {
        note(NOTE_NO_LINE);
        return None;
    }
    let delay_us = walk.verdict.delay_ns / 1000;
    let meta = LineMeta {
        deadline: walk.now().wrapping_add(walk.verdict.delay_ns),
        delay_us: if delay_us > u64::from(u32::MAX) { u32::MAX } else { delay_us as u32 },
        slot: walk.verdict.slot as u16,
        origin,
    };
    // On loopback the meta header takes the place of the Ethernet header, which
    // holds nothing: bpf_skb_change_head refuses to let a packet without GSO
    // grow beyond 16 KiB (BPF_SKB_MAX_LEN, net/core/filter.c).
    if ifindex != LOOPBACK_IFINDEX {
        // SAFETY: invalidates packet pointers, of which there are none.
        if unsafe { bpf_skb_change_head(skb, LINE_META_LEN as u32, 0) } != 0 {
            note(NOTE_LINE_FAILED);
            return None;
        }
    }
    let bytes = meta.to_bytes();
    // SAFETY: `bytes` lives here, and the packet has room for it.
    let stored = unsafe {
        bpf_skb_store_bytes(skb.cast(), 0, bytes.as_ptr().cast(), LINE_META_LEN as u32, 0)
    };
    if stored != 0 {
        note(NOTE_LINE_FAILED);
        // With a header in front the packet cannot go on as it is.
        return (ifindex != LOOPBACK_IFINDEX).then_some(TC_ACT_SHOT);
    }
    // SAFETY: takes plain values.
    Some(unsafe { bpf_redirect(config.line_ifindex, 0) } as i32)
}

/// Moves the packet's departure time, which the `fq` qdisc keeps to.
#[inline(always)]
fn depart_later(skb: *mut __sk_buff, delay_ns: u64) {
    // SAFETY: takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the context of the running program.
    let planned = unsafe { (*skb).tstamp };
    let from = if planned > now { planned } else { now };
    let departure = from.saturating_add(delay_ns);
    // The helper also says that this is a departure time, so that it is not
    // taken for a time of arrival at the other end of a veth pair.
    // SAFETY: the context of the running program.
    if unsafe { bpf_skb_set_tstamp(skb, departure, BPF_SKB_TSTAMP_DELIVERY_MONO) } != 0 {
        // SAFETY: as above.
        unsafe { (*skb).tstamp = departure };
    }
}
