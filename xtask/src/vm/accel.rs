//! KVM where it really works, emulation elsewhere.

use std::{fmt, fs, path::Path};

use anyhow::Result;

/// How the guest's processor is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// By the hardware.
    Kvm,
    /// By emulation: everything takes five to fifty times as long.
    Tcg {
        /// Whether cmpxchg16b does what it should.
        cx16: bool,
        /// What makes the guest's time pass.
        clock: Clock,
    },
}

/// What makes the time of an emulated guest pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The host's time: a busy host looks like a stuttering one from inside.
    Host,
    /// Its own instructions, a nanosecond each; while it waits for a timer, time jumps there. How
    /// busy the host is cannot be seen from inside. Costs about twice the work. Whatever comes
    /// from outside (a disk) takes until the next timer, whenever that is.
    Instructions,
}

impl Accel {
    /// QEMU's arguments.
    pub fn arguments(self) -> Vec<&'static str> {
        let Self::Tcg { cx16, clock } = self else {
            return vec!["-accel", "kvm", "-cpu", "host", "-smp", "2"];
        };
        // QEMU 7.2 leaves half a pointer in the flags register after a cmpxchg16b. An interrupt
        // that comes right then pushes them, its return faults, and the guest dies of a double
        // fault in the slab allocator. Kernels do without where it is missing.
        let cpu = if cx16 { "max" } else { "max,-cx16" };
        // One processor: with two, one of them may run an int3 that the kernel put there for a
        // moment to patch its code (a static key, such as the one of the first classifier) after
        // the kernel has taken it back, and the guest dies of "Oops: int3".
        let mut arguments = vec!["-accel", "tcg", "-cpu", cpu, "-smp", "1"];
        if clock == Clock::Instructions {
            arguments.extend(["-icount", "shift=0,sleep=off"]);
        }
        arguments
    }

    /// Arguments of the kernel, each with a space before it.
    pub fn kernel_arguments(self) -> &'static str {
        match self {
            Self::Kvm | Self::Tcg { cx16: true, .. } => "",
            // The price of going without cmpxchg16b: from 7.0 on the storage that programs keep at
            // sockets comes from kmalloc_nolock (mm/slub.c), which then serves only from caches
            // under debug.
            Self::Tcg { cx16: false, .. } => " slab_debug=F,kmalloc-*",
        }
    }

    /// By how much tests have to stretch their patience.
    pub fn slowness(self) -> u32 {
        match self {
            Self::Kvm => 2,
            Self::Tcg { clock: Clock::Host, .. } => 5,
            Self::Tcg { clock: Clock::Instructions, .. } => 3,
        }
    }

    /// The same with [`Clock::Instructions`], where that is possible.
    #[must_use]
    pub fn by_instructions(self) -> Self {
        match self {
            Self::Kvm => self,
            Self::Tcg { cx16, .. } => Self::Tcg { cx16, clock: Clock::Instructions },
        }
    }

    /// Emulation by the QEMU that calls itself `version` (`QEMU emulator version 10.0.2 (…)`).
    /// QEMU 8.0 rewrote cmpxchg16b.
    fn tcg(version: &str) -> Self {
        let number =
            version.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok());
        Self::Tcg { cx16: number.is_some_and(|major: u32| major >= 8), clock: Clock::Host }
    }
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg { clock: Clock::Host, .. } => "emulated",
            Self::Tcg { clock: Clock::Instructions, .. } => "emulated, by its own clock",
        })
    }
}

/// What works on this machine. `/dev/kvm` is there on hosts where a guest never gets anywhere
/// (nested, filtered), so `boots` has to try; its answer is kept until the next boot of the host.
///
/// # Errors
/// If `cache` cannot be written.
pub fn probe(cache: &Path, version: &str, boots: impl FnOnce() -> bool) -> Result<Accel> {
    let tcg = Accel::tcg(version);
    if !Path::new("/dev/kvm").exists() {
        return Ok(tcg);
    }
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let file = cache.join("kvm-works");
    if let Ok(known) = fs::read_to_string(&file)
        && let Some(answer) = known.strip_prefix(boot_id.as_str())
    {
        return Ok(if answer == "yes" { Accel::Kvm } else { tcg });
    }
    let works = boots();
    fs::write(&file, format!("{boot_id}{}", if works { "yes" } else { "no" }))?;
    Ok(if works { Accel::Kvm } else { tcg })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)";

    #[test]
    fn versions() {
        assert_eq!(Accel::tcg(OLD), Accel::Tcg { cx16: false, clock: Clock::Host });
        let new = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)";
        assert_eq!(Accel::tcg(new), Accel::Tcg { cx16: true, clock: Clock::Host });
        assert_eq!(Accel::tcg("no number"), Accel::Tcg { cx16: false, clock: Clock::Host });
    }

    #[test]
    fn the_answer_is_kept() {
        if !Path::new("/dev/kvm").exists() {
            return;
        }
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(probe(cache.path(), OLD, || true).unwrap(), Accel::Kvm);
        assert_eq!(probe(cache.path(), OLD, || panic!("asked twice")).unwrap(), Accel::Kvm);
        fs::write(cache.path().join("kvm-works"), "another boot\nyes").unwrap();
        assert_eq!(
            probe(cache.path(), OLD, || false).unwrap(),
            Accel::Tcg { cx16: false, clock: Clock::Host }
        );
    }
}
