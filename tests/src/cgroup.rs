//! Control groups of the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::wait::holds_within;

/// Prefix of every group that a test makes; the residue check passes over them.
pub const PREFIX: &str = "faultd-test-";

/// Where the v2 hierarchy is mounted, if it is.
pub fn v2_mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    })
}

/// An empty group in the v2 hierarchy; dropped, it is removed.
pub struct Cgroup {
    path: PathBuf,
    name: String,
}

impl Cgroup {
    /// Makes one; `None` where no v2 hierarchy is mounted.
    pub fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let path = v2_mount()?.join(&name);
        fs::create_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Some(Self { path, name: format!("/{name}") })
    }

    /// A group below this one.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn child(&self, name: &str) -> Self {
        let path = self.path.join(name);
        fs::create_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { path, name: format!("{}/{name}", self.name) }
    }

    /// As `--cgroup` takes it: below the mount point.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As a directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a process in.
    pub fn add(&self, pid: u32) {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
            .unwrap_or_else(|e| panic!("moving {pid} into {}: {e}", self.path.display()));
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A group empties when its last process is reaped.
        if !holds_within(Duration::from_secs(2), || fs::remove_dir(&self.path).is_ok()) {
            eprintln!("could not remove {}", self.path.display());
        }
    }
}
