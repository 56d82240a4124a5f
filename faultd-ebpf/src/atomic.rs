//! Atomic additions. `core` has none for this target, whose older CPU versions
//! lack compare-and-swap; the instructions are there since v1 and v3
//! (Documentation/bpf/standardization/instruction-set.rst).

use core::arch::asm;

/// Adds to `count`.
#[inline(always)]
pub fn add(count: &mut u64, n: u64) {
    // SAFETY: an exclusive reference is a valid, aligned address.
    unsafe { asm!("lock *(u64 *)({} + 0) += {}", in(reg) count, in(reg) n, options(nostack)) };
}

/// Adds `n` to `count` and returns what it was before.
#[inline(always)]
pub fn fetch_add(count: &mut u64, n: u64) -> u64 {
    let old;
    // SAFETY: as above.
    unsafe {
        asm!(
            "{n} = atomic_fetch_add((u64 *)({count} + 0), {n})",
            n = inout(reg) n => old,
            count = in(reg) count,
            options(nostack),
        );
    }
    old
}
