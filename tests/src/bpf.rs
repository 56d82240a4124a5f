//! What bpf(2) itself says about programs and links, so that no bpftool is
//! needed in the guests.

use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::Path,
};

// Linux: include/uapi/linux/bpf.h, enum bpf_cmd and enum bpf_attach_type.
const BPF_PROG_GET_NEXT_ID: i64 = 11;
const BPF_PROG_GET_FD_BY_ID: i64 = 13;
const BPF_OBJ_GET_INFO_BY_FD: i64 = 15;
const BPF_PROG_QUERY: i64 = 16;
const BPF_LINK_GET_NEXT_ID: i64 = 31;
const BPF_ENABLE_STATS: i64 = 32;
/// Attach type of cgroup_skb ingress programs.
pub const CGROUP_INET_INGRESS: u32 = 0;
/// Attach type of cgroup_skb egress programs.
pub const CGROUP_INET_EGRESS: u32 = 1;
/// Attach type of cgroup sock_create programs.
pub const CGROUP_INET_SOCK_CREATE: u32 = 2;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;

/// Ids of all programs that are loaded on this machine.
pub fn programs() -> BTreeSet<u32> {
    ids(BPF_PROG_GET_NEXT_ID)
}

/// Ids of all links on this machine.
pub fn links() -> BTreeSet<u32> {
    ids(BPF_LINK_GET_NEXT_ID)
}

/// Ids of the programs attached to an interface of the calling thread's
/// namespace through TCX; empty on kernels without it.
pub fn tcx(ifindex: u32) -> Vec<u32> {
    [BPF_TCX_INGRESS, BPF_TCX_EGRESS]
        .into_iter()
        .flat_map(|kind| query(ifindex, kind).unwrap_or_default())
        .collect()
}

/// Whether the kernel has TCX: links that go with the process that made them.
pub fn has_tcx() -> bool {
    const LOOPBACK: u32 = 1;
    query(LOOPBACK, BPF_TCX_EGRESS).is_ok()
}

/// Ids of the programs attached to a control group.
pub fn cgroup(path: &Path, attach_type: u32) -> Vec<u32> {
    let Ok(dir) = fs::File::open(path) else { return Vec::new() };
    query(u32::try_from(dir.as_raw_fd()).unwrap_or_default(), attach_type).unwrap_or_default()
}

/// Ids of programs and links that a process holds descriptors of, as
/// `/proc/PID/fdinfo` shows them: (programs, links).
pub fn held_by(pid: u32) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let (mut programs, mut links) = (BTreeSet::new(), BTreeSet::new());
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return (programs, links);
    };
    for entry in entries.flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let id = |name: &str| {
            let value = text.lines().find_map(|l| l.strip_prefix(name))?;
            value.trim().parse::<u32>().ok()
        };
        programs.extend(id("prog_id:"));
        links.extend(id("link_id:"));
    }
    (programs, links)
}

/// Time and runs of one program, as the kernel counts them while statistics
/// are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunStats {
    /// Nanoseconds spent in all runs.
    pub time_ns: u64,
    /// How many runs.
    pub runs: u64,
}

/// Reads a program's name and run statistics.
///
/// # Errors
/// When it is gone.
pub fn run_stats(id: u32) -> io::Result<(String, RunStats)> {
    let mut by_id = Attributes::default();
    by_id.put_u32(0, id);
    let program = by_id.descriptor(BPF_PROG_GET_FD_BY_ID)?;
    // struct bpf_prog_info up to recursion_misses; offsets are ABI.
    let mut info = [0_u8; 224];
    let mut request = Attributes::default();
    request.put_u32(0, u32::try_from(program.as_raw_fd()).unwrap_or_default());
    request.put_u32(4, info.len() as u32);
    request.put_u64(8, info.as_mut_ptr() as u64);
    request.call(BPF_OBJ_GET_INFO_BY_FD)?;
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&info[at..at + 8]);
        u64::from_ne_bytes(bytes)
    };
    let name = info[64..80].iter().take_while(|b| **b != 0).map(|b| char::from(*b)).collect();
    // run_time_ns and run_cnt follow nr_prog_tags and prog_tags (offset 184).
    Ok((name, RunStats { time_ns: number(192), runs: number(200) }))
}

/// Turns run statistics on while the value lives.
///
/// # Errors
/// Without the privilege.
pub fn enable_stats() -> io::Result<OwnedFd> {
    // BPF_STATS_RUN_TIME is 0.
    Attributes::default().descriptor(BPF_ENABLE_STATS)
}

fn ids(command: i64) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut last = 0;
    loop {
        let mut attributes = Attributes::default();
        attributes.put_u32(0, last);
        if attributes.call(command).is_err() {
            return found;
        }
        last = attributes.get_u32(4);
        found.insert(last);
    }
}

fn query(target: u32, attach_type: u32) -> io::Result<Vec<u32>> {
    let mut list = [0_u32; 64];
    let mut attributes = Attributes::default();
    attributes.put_u32(0, target);
    attributes.put_u32(4, attach_type);
    attributes.put_u64(16, list.as_mut_ptr() as u64);
    attributes.put_u32(24, list.len() as u32);
    attributes.call(BPF_PROG_QUERY)?;
    let count = attributes.get_u32(24) as usize;
    Ok(list.into_iter().take(count).collect())
}

/// `union bpf_attr`, zeroed where nothing was put. Aligned as the union is.
#[repr(align(8))]
struct Attributes([u8; 128]);

impl Default for Attributes {
    fn default() -> Self {
        Self([0; 128])
    }
}

impl Attributes {
    fn put_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    fn put_u64(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }

    fn get_u32(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[at..at + 4]);
        u32::from_ne_bytes(bytes)
    }

    fn call(&mut self, command: i64) -> io::Result<i64> {
        // SAFETY: the union is 128 bytes of our own, all initialised; pointers
        // put into it by this module refer to buffers that outlive the call.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), self.0.len()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }

    fn descriptor(&mut self, command: i64) -> io::Result<OwnedFd> {
        let fd = self.call(command)?;
        let fd = i32::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: these commands return a new descriptor, which nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}
