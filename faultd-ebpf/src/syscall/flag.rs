//! Comparisons without branches: 1 or 0.

use core::arch::asm;

/// Whether `a` is below `b`, both below 2^63.
#[inline(always)]
pub const fn is_below(a: u64, b: u64) -> u64 {
    a.wrapping_sub(b) >> 63
}

/// Whether `value` is 0.
#[inline(always)]
pub fn is_zero(value: u64) -> u64 {
    (opaque(value) | value.wrapping_neg()) >> 63 ^ 1
}

/// All bits for 1, none for 0.
#[inline(always)]
pub fn mask(flag: u64) -> u64 {
    let mask;
    // SAFETY: one instruction, on a register. The compiler would make a branch of
    // what it knows to be a choice.
    unsafe { asm!("{0} = -{0}", inout(reg) flag => mask, options(pure, nomem, nostack)) };
    mask
}

/// The same value, of which the compiler knows nothing: of a comparison that it
/// recognises it would make a branch, and a bound that it knows it would not check.
#[inline(always)]
pub fn opaque(value: u64) -> u64 {
    let same;
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(reg) value => same, options(pure, nomem, nostack)) };
    same
}

/// `a` modulo `b`, and `a` where `b` is 0
/// (Documentation/bpf/standardization/instruction-set.rst).
#[inline(always)]
pub fn remainder(a: u64, b: u64) -> u64 {
    let rest;
    // SAFETY: one instruction, on registers, that is defined for every value.
    unsafe { asm!("{0} %= {1}", inout(reg) a => rest, in(reg) b, options(pure, nomem, nostack)) };
    rest
}
