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

/// Where the v1 hierarchy with a controller is mounted, if it is.
pub fn v1_mount(controller: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let fields: Vec<_> = line.split(' ').collect();
        let [_, path, "cgroup", options, ..] = fields[..] else { return None };
        options.split(',').any(|o| o == controller).then(|| PathBuf::from(path))
    })
}

/// An empty group; dropped, it is removed.
pub struct Cgroup {
    path: PathBuf,
    name: String,
}

impl Cgroup {
    /// Makes one; `None` where no v2 hierarchy is mounted.
    pub fn new() -> Option<Self> {
        Some(Self::below(&v2_mount()?))
    }

    /// Makes one in the v1 hierarchy of a controller; `None` where there is
    /// none.
    pub fn v1(controller: &str) -> Option<Self> {
        Some(Self::below(&v1_mount(controller)?))
    }

    /// Makes one whose memory can be limited, in either version; `None` where
    /// the kernel has no memory controller.
    pub fn with_memory() -> Option<Self> {
        if let Some(group) = Self::v1("memory") {
            return Some(group);
        }
        let root = v2_mount()?;
        // Not asked for on some hosts; harmless where it is.
        fs::write(root.join("cgroup.subtree_control"), "+memory").ok()?;
        Some(Self::below(&root))
    }

    fn below(mount: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let path = mount.join(&name);
        fs::create_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { path, name: format!("/{name}") }
    }

    /// The content of one of its files, without the line end.
    ///
    /// # Panics
    /// When there is no such file.
    #[track_caller]
    pub fn read(&self, file: &str) -> String {
        let path = self.path.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        text.trim_end().to_owned()
    }

    /// Whether it has a file.
    pub fn has(&self, file: &str) -> bool {
        self.path.join(file).exists()
    }

    /// Its limit of memory, as the kernel prints it.
    ///
    /// # Panics
    /// When it has none.
    #[track_caller]
    pub fn memory_limit(&self) -> String {
        self.read(if self.has("memory.max") { "memory.max" } else { "memory.limit_in_bytes" })
    }

    /// How many processes the kernel has killed in it for want of memory.
    ///
    /// # Panics
    /// When it does not count them.
    #[track_caller]
    pub fn oom_kills(&self) -> u64 {
        let file = if self.has("memory.events") { "memory.events" } else { "memory.oom_control" };
        let text = self.read(file);
        let count = text.lines().find_map(|l| l.strip_prefix("oom_kill ")?.parse().ok());
        count.unwrap_or_else(|| panic!("{file} does not tell: {text}"))
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
