//! Memory that supervisor and guard share: which calls wait for an answer.
//!
//! A call that was received and not answered waits for ever, even when another
//! process holds the listener as well. So whoever survives has to know them.

use std::{
    num::NonZeroUsize,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use nix::{
    errno::Errno,
    sys::mman::{MapFlags, ProtFlags, mmap_anonymous},
};

use super::listener::Slot;

/// Calls that can be delayed at the same time.
const PENDING: usize = 1 << 16;

#[repr(C)]
struct Layout {
    current: Slot,
    pending: [AtomicU64; PENDING],
}

/// The shared memory. It stays mapped until the process ends.
#[derive(Clone, Copy)]
pub struct Shared(NonNull<Layout>);

impl Shared {
    /// Shared with every process that is forked from now on.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new() -> Result<Self, Errno> {
        let size = NonZeroUsize::new(size_of::<Layout>()).ok_or(Errno::EINVAL)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: new memory, at an address of the kernel's choice.
        let at = unsafe { mmap_anonymous(None, size, protection, MapFlags::MAP_SHARED)? };
        Ok(Self(at.cast()))
    }

    /// Where the call that is being looked at is received.
    pub fn current(self) -> *mut Slot {
        // SAFETY: within the mapping, which lives as long as the process.
        unsafe { &raw mut (*self.0.as_ptr()).current }
    }

    /// Remembers a call that will be answered later, under the number returned.
    /// `None`: no room, it has to be answered now.
    pub fn remember(self, id: u64) -> Option<usize> {
        let free = |entry: &AtomicU64| entry.load(Ordering::Relaxed) == 0;
        let at = self.pending().iter().position(free)?;
        self.pending()[at].store(id, Ordering::Release);
        Some(at)
    }

    /// Forgets a call that was answered.
    pub fn forget(self, at: usize) {
        if let Some(entry) = self.pending().get(at) {
            entry.store(0, Ordering::Release);
        }
    }

    /// Every call that may wait. Some may have been answered already.
    pub fn waiting(self) -> impl Iterator<Item = u64> {
        // SAFETY: the first field of what the kernel writes is the id; the
        // process that had it written is gone, or is the caller.
        let current = unsafe { self.current().cast::<u64>().read_volatile() };
        let pending = self.pending().iter().map(|entry| entry.load(Ordering::Acquire));
        pending.chain([current]).filter(|id| *id != 0)
    }

    fn pending(self) -> &'static [AtomicU64] {
        // SAFETY: zeroed memory of the mapping, which is never unmapped; both
        // processes use it through atomics only.
        unsafe { &(*self.0.as_ptr()).pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_waits_until_it_is_forgotten() {
        let shared = Shared::new().unwrap();
        let (a, b) = (shared.remember(7).unwrap(), shared.remember(9).unwrap());
        assert_eq!(shared.waiting().collect::<Vec<_>>(), [7, 9]);
        shared.forget(a);
        assert_eq!(shared.waiting().collect::<Vec<_>>(), [9]);
        assert_eq!(shared.remember(11), Some(a));
        shared.forget(b);
        assert_eq!(shared.waiting().collect::<Vec<_>>(), [11]);
    }
}
