//! What is read of a single process only when it is asked for.

use std::{fs, io, path::PathBuf};

/// Its effective user id, which is also the one that its sockets carry.
///
/// # Errors
/// `NotFound` when there is no such process.
pub fn effective_uid(pid: u32) -> io::Result<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    uid_in(&status).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// `Uid: REAL EFFECTIVE SAVED FILESYSTEM`; proc_pid_status(5).
fn uid_in(status: &str) -> Option<u32> {
    let fields = status.lines().find_map(|l| l.strip_prefix("Uid:"))?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The executable, as the process's own mount namespace names it; without the
/// ` (deleted)` of one that was replaced since.
pub fn exe(pid: u32) -> Option<PathBuf> {
    let link = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    match link.to_str().and_then(|l| l.strip_suffix(" (deleted)")) {
        Some(before) => Some(before.into()),
        None => Some(link),
    }
}

/// Its command line, arguments separated by spaces. `None` where it has none
/// (kernel threads, processes that ended).
pub fn cmdline(pid: u32) -> Option<String> {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&raw);
    let text = text.trim_end_matches('\0').replace('\0', " ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_one() {
        let status = "Name:\tsu\nUmask:\t0022\nUid:\t1000\t0\t7\t0\nGid:\t5\t5\t5\t5\n";
        assert_eq!(uid_in(status), Some(0));
        assert_eq!(uid_in("Name:\tx\n"), None);
    }

    #[test]
    fn of_this_process() {
        let me = std::process::id();
        assert_eq!(effective_uid(me).ok(), Some(nix::unistd::geteuid().as_raw()));
        assert_eq!(exe(me), std::env::current_exe().ok());
        let arguments: Vec<_> = std::env::args().collect();
        assert_eq!(cmdline(me), Some(arguments.join(" ")));
    }
}
