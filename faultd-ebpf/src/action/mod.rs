//! What a matching rule does.

mod delay;
mod loss;

pub use delay::Held;
use faultd_abi::{
    ACTION_DELAY, ACTION_DROP, ACTION_LOSS_EVERY, ACTION_LOSS_GEMODEL, ACTION_LOSS_RANDOM,
    FLAG_FORCE, Rule,
};

use crate::{
    atomic::add,
    maps::{COUNTERS, LEASE, STATE},
    packet::PROTECTED,
    walk::Walk,
};

/// Applies a rule that matches: checks what stands in the way, counts, and
/// puts its action into the verdict.
#[inline(always)]
pub fn apply(rule: &Rule, slot: u32, walk: &mut Walk) {
    let Some(counters) = COUNTERS.get_ptr_mut(slot) else { return };
    // Atomic additions although the map is per-CPU: a program at a cgroup hook
    // runs in process context and may be interrupted by one in softirq.
    // SAFETY: the map's element, valid while the program runs.
    let counters = unsafe { &mut *counters };

    let force = rule.flags & FLAG_FORCE != 0;
    if !force && walk.packet.flags & PROTECTED != 0 {
        return add(&mut counters.protected, 1);
    }
    let lease = LEASE.get(0).copied().unwrap_or(0);
    if walk.now() >= rule.expires_boot_ns.min(lease) {
        return add(&mut counters.expired, 1);
    }
    if !force && walk.is_exempt() {
        return add(&mut counters.exempt, 1);
    }
    add(&mut counters.matched, 1);
    walk.verdict.touched = 1;

    let dropped = match rule.action {
        ACTION_DROP => true,
        ACTION_LOSS_RANDOM | ACTION_LOSS_GEMODEL | ACTION_LOSS_EVERY => {
            let Some(state) = STATE.get_ptr_mut(slot) else { return };
            // SAFETY: as above; shared with other CPUs, see `RuleState`.
            loss::drops(rule, unsafe { &mut *state })
        }
        ACTION_DELAY => return delay::hold(rule, slot, counters, walk),
        _ => false,
    };
    if dropped {
        walk.verdict.drop = 1;
        add(&mut counters.affected, 1);
        add(&mut counters.affected_bytes, u64::from(walk.packet.len));
    }
}
