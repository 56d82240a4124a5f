//! Whether a rule makes the current call fail.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use faultd_abi::syscall::{CallKey, Offsets, SLOTS};

use crate::{
    atomic,
    context::{Address, number},
    flag::{is_below, is_zero, mask, opaque, remainder},
    maps::{CALLS, RULES, SETTINGS, STATES},
    named::named,
    rng::draw,
    tree::slots_above,
};

/// The error (positive) that the current call fails with at `hook`, or 0.
///
/// `dentries` finds the files that the call is about, 0 for none; it is asked
/// only when a rule wants to know.
#[inline(always)]
pub fn judge(hook: u32, dentries: impl FnOnce(&Offsets) -> Option<(Address, Address)>) -> u32 {
    let Some(config) = SETTINGS.get(0) else { return 0 };
    let mut slots = named(config);
    if slots == 0 {
        return 0;
    }
    let Some(nr) = number(&config.offsets) else { return 0 };
    // SAFETY: a word, copied at once.
    slots &= match unsafe { CALLS.get(&CallKey { hook, nr }) } {
        Some(of_call) => *of_call,
        None => return 0,
    };
    if slots == 0 {
        return 0;
    }
    let Some((one, other)) = dentries(&config.offsets) else { return 0 };
    if slots & config.paths != 0 {
        let mut below = 0;
        for entry in [one, other] {
            if entry != 0 {
                below |= slots_above(entry, &config.offsets);
            }
        }
        slots &= !config.paths | below;
    }
    // Bits are shifted out, so that the verifier forgets what it learned of them.
    let mut error = 0_u64;
    for slot in 0..SLOTS {
        if slots == 0 {
            break;
        }
        let is_set = slots & 1 != 0;
        slots >>= 1;
        if is_set {
            error |= meet(slot) & mask(is_zero(error));
        }
    }
    error as u32
}

/// What a program that stands in for a function answers: 0, or an error with all
/// 64 bits, since a caller may look at more than an int.
///
/// The verifier wants to see that programs of the BPF LSM answer nothing else,
/// and forgets bounds at a negation; the compiler must not know better.
#[inline(always)]
pub fn answer(error: u32) -> i64 {
    const LOWEST: i64 = -4095; // MAX_ERRNO, include/linux/err.h
    let result = opaque((-i64::from(error)) as u64) as i64;
    if result < LOWEST {
        return 0;
    }
    let result = opaque(result as u64) as i64;
    if result > 0 { 0 } else { result }
}

/// Counts a call that a rule matches; the error if the rule hits it, or 0.
///
/// Without branches: the verifier follows both sides of each, for every rule.
#[inline(always)]
fn meet(slot: u32) -> u64 {
    let (Some(rule), Some(state)) = (RULES.get(slot), STATES.get_ptr_mut(slot)) else { return 0 };
    // SAFETY: the map's element, valid while the program runs; other programs
    // change it by atomic additions only.
    let state = unsafe { &mut *state };
    // SAFETY: only reads the clock.
    let in_force = is_below(unsafe { bpf_ktime_get_boot_ns() }, rule.expires_boot_ns);
    let number = atomic::fetch_add(&mut state.matched, in_force);
    let chosen = in_force
        & is_zero(remainder(number + 1, rule.every))
        & is_below(number, rule.first)
        & is_below(draw(rule.seed, number).high(), rule.probability);
    let before = atomic::fetch_add(&mut state.chosen, chosen);
    u64::from(rule.errno) & mask(chosen & is_below(before, rule.max))
}
