//! Whether a rule makes the current call fail.

use core::arch::asm;

use aya_ebpf::helpers::{
    bpf_get_current_ancestor_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
    bpf_ktime_get_boot_ns,
};
use faultd_abi::syscall::{CallKey, Config, EXEMPT, INIT, Offsets, SLOTS};

use crate::{
    atomic,
    context::{Address, number},
    maps::{CALLS, PIDS, RULES, SETTINGS, STATES},
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
        let mut below = slots_above(one, &config.offsets);
        if other != 0 {
            below |= slots_above(other, &config.offsets);
        }
        slots &= !config.paths | below;
    }
    // Bits are shifted out, so that the verifier forgets what it learned of them.
    let mut error = 0;
    for slot in 0..SLOTS {
        if slots == 0 {
            break;
        }
        let is_set = slots & 1 != 0;
        slots >>= 1;
        if !is_set {
            continue;
        }
        let errno = meet(slot);
        if error == 0 {
            error = errno;
        }
    }
    error
}

/// What a program that stands in for a function answers: 0, or an error with all
/// 64 bits, since a caller may look at more than an int.
///
/// The verifier wants to see that programs of the BPF LSM answer nothing else,
/// and forgets bounds at a negation; the compiler must not know better.
#[inline(always)]
pub fn answer(error: u32) -> i64 {
    const LOWEST: i64 = -4095; // MAX_ERRNO, include/linux/err.h
    let result = unknown(-i64::from(error));
    if result < LOWEST {
        return 0;
    }
    let result = unknown(result);
    if result > 0 { 0 } else { result }
}

#[inline(always)]
fn unknown(value: i64) -> i64 {
    let same;
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(reg) value => same, options(nomem, nostack)) };
    same
}

/// The slots of rules that name the current process.
#[inline(always)]
fn named(config: &Config) -> u32 {
    if config.pids | config.scopes == 0 {
        return 0;
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: a word, copied at once.
    let known = unsafe { PIDS.get(&tgid) }.copied().unwrap_or(0);
    let mut slots = known & config.pids;
    if config.scopes == 0 || known & EXEMPT != 0 || tgid == INIT {
        return slots;
    }
    let uid = bpf_get_current_uid_gid() as u32;
    let mut scopes = config.scopes;
    for slot in 0..SLOTS {
        if scopes == 0 {
            break;
        }
        let is_set = scopes & 1 != 0;
        scopes >>= 1;
        if !is_set {
            continue;
        }
        let Some(rule) = RULES.get(slot) else { break };
        // SAFETY: takes a number.
        let group = unsafe { bpf_get_current_ancestor_cgroup_id(rule.level as i32) };
        let differs =
            (group ^ rule.cgroup) & rule.cgroup_mask | u64::from((uid ^ rule.uid) & rule.uid_mask);
        if differs == 0 {
            slots |= rule.bit;
        }
    }
    slots
}

/// Counts a call that a rule matches; the error if the rule hits it, or 0.
#[inline(always)]
fn meet(slot: u32) -> u32 {
    let (Some(rule), Some(state)) = (RULES.get(slot), STATES.get_ptr_mut(slot)) else { return 0 };
    // SAFETY: only reads the clock.
    if unsafe { bpf_ktime_get_boot_ns() } >= rule.expires_boot_ns {
        return 0;
    }
    // SAFETY: the map's element, valid while the program runs; other programs
    // change it by atomic additions only.
    let state = unsafe { &mut *state };
    let number = atomic::fetch_add(&mut state.matched, 1);
    if (number + 1).checked_rem(rule.every) != Some(0)
        || number >= rule.first
        || draw(rule.seed, number).high() >= rule.probability
        || atomic::fetch_add(&mut state.chosen, 1) >= rule.max
    {
        return 0;
    }
    rule.errno
}
