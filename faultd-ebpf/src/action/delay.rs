//! How long a delay rule holds a packet.

use faultd_abi::{
    Counters, DISTRIBUTION_LEN, DISTRIBUTION_SHIFT, DISTRIBUTION_UNIFORM, Delay, Rule, VIA_LINE,
};

use super::loss::number;
use crate::{
    atomic::add,
    maps::{DISTRIBUTIONS, STATE},
    rng::draw,
    walk::Walk,
};

/// Random bits that choose an entry of a distribution table.
const TABLE_BITS: u32 = DISTRIBUTION_LEN.ilog2();

/// Random bits for a uniform delay: 2^37 ns of width times 2^26 is an i64.
const UNIFORM_BITS: u32 = 26;

/// A delay that a rule asks for.
pub struct Held {
    pub ns: u64,
    pub via: u8,
    pub slot: u32,
    pub class: u32,
}

/// Adds the rule's delay to the verdict.
#[inline(always)]
pub fn hold(rule: &Rule, slot: u32, counters: &mut Counters, walk: &mut Walk) {
    if rule.via == VIA_LINE && !walk.has_line() {
        return add(&mut counters.passed_no_line, 1);
    }
    let ns = if rule.delay.jitter_ns == 0 { rule.delay.ns } else { jittered(rule, slot) };
    walk.verdict.delay(&Held { ns, via: rule.via, slot, class: rule.delay.class });
    add(&mut counters.affected, 1);
    add(&mut counters.affected_bytes, u64::from(walk.packet.len));
    add(&mut counters.delay_ns, ns);
}

/// A draw from the rule's distribution; with probability `correlation` the
/// previous one again, which keeps the distribution as it is (see the note on
/// netem in `loss::random`).
#[inline(always)]
fn jittered(rule: &Rule, slot: u32) -> u64 {
    let Some(state) = STATE.get_ptr_mut(slot) else { return rule.delay.ns };
    // SAFETY: the map's element; shared with other CPUs, see `RuleState`.
    let state = unsafe { &mut *state };
    let n = number(state);
    let fresh = draw(rule.seed, n);
    let bits = if n != 0 && fresh.low() < rule.delay.correlation {
        state.previous
    } else {
        state.previous = fresh.high();
        fresh.high()
    };
    sample(&rule.delay, bits)
}

/// The delay that 32 random bits stand for.
#[inline(always)]
fn sample(delay: &Delay, bits: u64) -> u64 {
    let ns = delay.ns as i64;
    let jitter = delay.jitter_ns as i64;
    let drawn = if delay.distribution == DISTRIBUTION_UNIFORM {
        let fraction = (bits >> (32 - UNIFORM_BITS)) as i64;
        ns - jitter + ((fraction * 2 * jitter) >> UNIFORM_BITS)
    } else {
        let entry = (bits >> (32 - TABLE_BITS)) as u32 & (DISTRIBUTION_LEN - 1);
        let table = DISTRIBUTIONS.get(delay.distribution - 1);
        let units = table.map_or(0, |table| i64::from(table[entry as usize]));
        ns + ((jitter * units) >> DISTRIBUTION_SHIFT)
    };
    if drawn < 0 { 0 } else { drawn as u64 }
}
