//! What is known of the guardian, for health and metrics.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What is known of the guardian.
#[derive(Debug, Default)]
pub struct GuardianStatus {
    pid: AtomicU32,
    starts: AtomicU64,
}

impl GuardianStatus {
    /// Its process id, while it lives.
    pub fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// How often one had to be started again.
    pub fn restarts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed).saturating_sub(1)
    }

    pub(super) fn started(&self, pid: u32) {
        self.pid.store(pid, Ordering::Relaxed);
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn gone(&self) {
        self.pid.store(0, Ordering::Relaxed);
    }
}
