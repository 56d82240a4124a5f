//! KVM where it really works, emulation elsewhere.

use std::{fs, path::Path};

use anyhow::Result;

/// How the guest's processor is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// By the hardware.
    Kvm,
    /// By emulation: everything takes five to fifty times as long.
    Tcg,
}

impl Accel {
    /// QEMU's arguments.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm", "-cpu", "host", "-smp", "2"],
            // Without cmpxchg16b: QEMU 7.2 leaves half a pointer in the flags register after it. An
            // interrupt that comes right then pushes them, its return faults, and the guest dies
            // of a double fault in the slab allocator. Kernels do without where it is missing.
            //
            // One processor: with two, one of them may run an int3 that the kernel put there for
            // a moment to patch its code (a static key, such as the one of the first classifier)
            // after the kernel has taken it back, and the guest dies of "Oops: int3".
            Self::Tcg => &["-accel", "tcg", "-cpu", "max,-cx16", "-smp", "1"],
        }
    }

    /// Arguments of the kernel, each with a space before it.
    pub fn kernel_arguments(self) -> &'static str {
        match self {
            Self::Kvm => "",
            // The price of going without cmpxchg16b: from 7.0 on the storage that programs keep at
            // sockets comes from kmalloc_nolock (mm/slub.c), which then serves only from caches
            // under debug.
            Self::Tcg => " slab_debug=F,kmalloc-*",
        }
    }

    /// By how much tests have to stretch their patience.
    pub fn slowness(self) -> u32 {
        match self {
            Self::Kvm => 2,
            Self::Tcg => 5,
        }
    }
}

/// What works on this machine. `/dev/kvm` is there on hosts where a guest never gets anywhere
/// (nested, filtered), so `boots` has to try; its answer is kept until the next boot of the host.
///
/// # Errors
/// If `cache` cannot be written.
pub fn probe(cache: &Path, boots: impl FnOnce() -> bool) -> Result<Accel> {
    if !Path::new("/dev/kvm").exists() {
        return Ok(Accel::Tcg);
    }
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let file = cache.join("kvm-works");
    if let Ok(known) = fs::read_to_string(&file)
        && let Some(answer) = known.strip_prefix(boot_id.as_str())
    {
        return Ok(if answer == "yes" { Accel::Kvm } else { Accel::Tcg });
    }
    let works = boots();
    fs::write(&file, format!("{boot_id}{}", if works { "yes" } else { "no" }))?;
    Ok(if works { Accel::Kvm } else { Accel::Tcg })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_kept() {
        if !Path::new("/dev/kvm").exists() {
            return;
        }
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(probe(cache.path(), || true).unwrap(), Accel::Kvm);
        assert_eq!(probe(cache.path(), || panic!("asked twice")).unwrap(), Accel::Kvm);
        fs::write(cache.path().join("kvm-works"), "another boot\nyes").unwrap();
        assert_eq!(probe(cache.path(), || false).unwrap(), Accel::Tcg);
    }
}
