//! What the programs of `faultd-syscall` and the daemon share.

/// Rule slots: bits of a word, less [`EXEMPT`].
pub const SLOTS: u32 = 30;

/// In the values of `PIDS`: rules for groups and users leave the process alone.
pub const EXEMPT: u32 = 1 << 31;

/// The init process, which no rule for groups and users is about.
pub const INIT: u32 = 1;

/// A draw of 32 bits is always below this.
pub const ALWAYS: u64 = 1 << 32;

/// Entries of `PID_FILTER`, a power of two.
pub const FILTERED: u32 = 1 << 13;

/// A count that is never reached.
pub const NO_LIMIT: u64 = i64::MAX as u64;

/// Levels of directories that a path is followed up.
pub const DEPTH: u32 = 32;

/// Places in the kernel where a call is judged ([`CallKey::hook`]).
pub mod hook {
    /// Opening a file.
    pub const FILE_OPEN: u32 = 1;
    /// Creating a file while opening it.
    pub const INODE_CREATE: u32 = 2;
    /// Reading and writing.
    pub const FILE_PERMISSION: u32 = 3;
    /// ioctl(2).
    pub const FILE_IOCTL: u32 = 4;
    /// truncate(2) and, up to Linux 6.1, ftruncate(2).
    pub const PATH_TRUNCATE: u32 = 5;
    /// ftruncate(2) from Linux 6.2 on.
    pub const FILE_TRUNCATE: u32 = 6;
    /// stat(2) and its like.
    pub const INODE_GETATTR: u32 = 7;
    /// mkdir(2).
    pub const INODE_MKDIR: u32 = 8;
    /// rmdir(2).
    pub const INODE_RMDIR: u32 = 9;
    /// unlink(2).
    pub const INODE_UNLINK: u32 = 10;
    /// rename(2).
    pub const INODE_RENAME: u32 = 11;
    /// link(2).
    pub const INODE_LINK: u32 = 12;
    /// symlink(2).
    pub const INODE_SYMLINK: u32 = 13;
    /// mmap(2).
    pub const MMAP_FILE: u32 = 14;
    /// mprotect(2).
    pub const FILE_MPROTECT: u32 = 15;
    /// clone(2), fork(2).
    pub const TASK_ALLOC: u32 = 16;
    /// execve(2).
    pub const BPRM_CREDS: u32 = 17;
    /// kill(2).
    pub const TASK_KILL: u32 = 18;
    /// socket(2), socketpair(2).
    pub const SOCKET_CREATE: u32 = 19;
    /// bind(2).
    pub const SOCKET_BIND: u32 = 20;
    /// listen(2).
    pub const SOCKET_LISTEN: u32 = 21;
    /// connect(2).
    pub const SOCKET_CONNECT: u32 = 22;
    /// accept(2).
    pub const SOCKET_ACCEPT: u32 = 23;
    /// send(2) and its like.
    pub const SOCKET_SENDMSG: u32 = 24;
    /// recv(2) and its like.
    pub const SOCKET_RECVMSG: u32 = 25;
    /// The entry of a call.
    pub const ENTRY: u32 = 26;
    /// The hooks of control groups at sockets.
    pub const CGROUP: u32 = 27;
}

/// One rule (map `RULES`, by slot). What is not asked for has the value that
/// everything passes, so that nobody has to ask whether it was.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rule {
    /// Boot-time nanosecond from which the rule does nothing any more; 0: free.
    /// This and the counts below are at most [`NO_LIMIT`].
    pub expires_boot_ns: u64,
    /// Seed of its random decisions.
    pub seed: u64,
    /// A draw of 32 bits below this hits; [`ALWAYS`].
    pub probability: u64,
    /// Every n-th call; 1.
    pub every: u64,
    /// The first n calls; [`NO_LIMIT`].
    pub first: u64,
    /// At most n calls; [`NO_LIMIT`].
    pub max: u64,
    /// With a bit in [`Config::scopes`]: the cgroup v2 id.
    pub cgroup: u64,
    /// The bits of it that count: all or none.
    pub cgroup_mask: u64,
    /// The depth of that group below the root.
    pub level: u32,
    /// With a bit in [`Config::scopes`]: the user.
    pub uid: u32,
    /// The bits of it that count: all or none.
    pub uid_mask: u32,
    /// The error, positive.
    pub errno: u32,
    /// The slot's bit. A constant would tell the verifier so much that it follows
    /// each subset of rules on its own.
    pub bit: u32,
    /// Zero.
    pub pad: u32,
}

/// What a rule has met (map `STATES`, by slot).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Calls that matched.
    pub matched: u64,
    /// Calls that were chosen; beyond [`Rule::max`] they passed all the same.
    pub chosen: u64,
}

/// What is known besides the rules (map `SETTINGS`, one entry). Each set has a
/// bit a slot.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Config {
    /// Rules for the processes in `PIDS`.
    pub pids: u32,
    /// Rules for a control group, a user, or both.
    pub scopes: u32,
    /// Those of them that name a user.
    pub users: u32,
    /// Rules for what is below a root in `ROOTS`.
    pub paths: u32,
    /// Where the kernel keeps things.
    pub offsets: Offsets,
}

/// Offsets of members of the running kernel's structures, from its BTF.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offsets {
    /// `task_struct.pid`
    pub task_pid: u32,
    /// `task_struct.tgid`
    pub task_tgid: u32,
    /// `task_struct.flags`
    pub task_flags: u32,
    /// `task_struct.files`
    pub task_files: u32,
    /// `files_struct.fdt`
    pub files_fdt: u32,
    /// `fdtable.max_fds`
    pub fdt_max: u32,
    /// `fdtable.fd`
    pub fdt_fd: u32,
    /// `file.f_path`
    pub file_path: u32,
    /// `file.f_mode`
    pub file_mode: u32,
    /// `path.dentry`
    pub path_dentry: u32,
    /// `dentry.d_parent`
    pub dentry_parent: u32,
    /// `dentry.d_inode`
    pub dentry_inode: u32,
    /// `inode.i_ino`
    pub inode_ino: u32,
    /// `dentry.d_sb`
    pub dentry_sb: u32,
    /// `super_block.s_dev`
    pub sb_dev: u32,
    /// `linux_binprm.file`
    pub bprm_file: u32,
    /// `vm_area_struct.vm_file`
    pub vma_file: u32,
    /// The number of the call in `pt_regs`.
    pub regs_nr: u32,
    /// The first argument in `pt_regs`.
    pub regs_arg: u32,
    /// The code segment in `pt_regs`; 0 where there is none.
    pub regs_cs: u32,
}

/// Key of the map `CALLS`, whose values are sets of slots.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// Where it is judged ([`hook`]).
    pub hook: u32,
    /// The number of the call.
    pub nr: u32,
}

/// Key of the map `ROOTS`, whose values are sets of slots.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Root {
    /// `inode.i_ino`
    pub ino: u64,
    /// `super_block.s_dev`, as the kernel has it inside (20 bits of minor).
    pub dev: u32,
    /// Zero.
    pub pad: u32,
}

/// Names of the maps.
pub mod map {
    /// [`super::Rule`] by slot.
    pub const RULES: &str = "RULES";
    /// [`super::State`] by slot.
    pub const STATES: &str = "STATES";
    /// [`super::Config`], one entry.
    pub const SETTINGS: &str = "SETTINGS";
    /// Slots by process.
    pub const PIDS: &str = "PIDS";
    /// By the low bits of a process's number: whether `PIDS` may know it. It
    /// spares the processes that no rule is about the dearer look-up.
    pub const PID_FILTER: &str = "PID_FILTER";
    /// Slots by [`super::CallKey`].
    pub const CALLS: &str = "CALLS";
    /// Slots by [`super::Root`].
    pub const ROOTS: &str = "ROOTS";
}

const _: () = {
    assert!(size_of::<Rule>() == 88);
    assert!(size_of::<State>() == 16);
    assert!(size_of::<Config>() == 96);
    assert!(SLOTS < EXEMPT.trailing_zeros() && FILTERED.is_power_of_two());
    assert!(size_of::<Root>() == 16);
};
