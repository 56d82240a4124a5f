//! `faultd charge-memory`: a process that joins a memory control group of
//! version 1 and asks for memory until the kernel has killed somebody there.
//!
//! The memory is that of a file without a name: it is charged to the group and
//! counts in no process, so the kernel has no reason to pick this one.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    thread,
    time::Duration,
};

use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    prctl,
    signal::Signal,
};

use crate::host::cgroup::MemoryGroup;

/// Asked for at a time; after each the kills are counted.
const CHUNK: usize = 64 * 1024;
/// More than any gap between usage and limit can be.
const MOST: usize = 256 << 20;
/// When the kernel can neither give nor kill.
const PAUSE: Duration = Duration::from_millis(10);

/// Charges memory to the group at `dir` until it has counted more than `kills`
/// kills. Dies with its parent.
///
/// # Errors
/// When the group cannot be joined.
pub fn run(dir: &Path, kills: u64) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // Needs CAP_SYS_RESOURCE, unless the daemon has it so already; without, the
    // largest process dies first, which this one is not meant to be.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    let group = MemoryGroup::at_v1(dir);
    group.write("cgroup.procs", &std::process::id().to_string())?;
    let mut file = File::from(memfd_create(c"faultd-charge", MFdFlags::MFD_CLOEXEC)?);
    let chunk = vec![1; CHUNK];
    let mut written = 0;
    while written < MOST && group.oom_kills()? <= kills {
        match file.write(&chunk) {
            Ok(n) => written += n,
            Err(e) if e.raw_os_error() == Some(libc::ENOMEM) => thread::sleep(PAUSE),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
