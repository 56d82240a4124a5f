//! One line of `/proc/PID/stat`: what identifies a process and places it
//! among the others.

use std::{fs, io};

/// Linux include/linux/sched.h: PF_KTHREAD.
const PF_KTHREAD: u32 = 0x0020_0000;

/// The fields of proc_pid_stat(5) that target resolution needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process id.
    pub pid: u32,
    /// Command name, at most 15 bytes.
    pub comm: String,
    /// State letter: `R`, `S`, `D`, `Z` …
    pub state: char,
    /// Parent.
    pub ppid: u32,
    /// Session id: the process id of the session's leader.
    pub session: u32,
    /// Kernel flags (`PF_*`).
    pub flags: u32,
    /// When it started, in clock ticks since boot. Together with the process
    /// id it names a process for good.
    pub start_time: u64,
}

impl Stat {
    /// Parses a line. `None` when it is not of that form.
    pub fn parse(line: &[u8]) -> Option<Self> {
        // The command name may hold anything, parentheses and line breaks
        // included; the last `)` ends it.
        let open = line.iter().position(|b| *b == b'(')?;
        let close = line.iter().rposition(|b| *b == b')')?;
        let pid = str::from_utf8(line.get(..open)?).ok()?.trim().parse().ok()?;
        let comm = String::from_utf8_lossy(line.get(open + 1..close)?).into_owned();
        let mut rest = str::from_utf8(line.get(close + 1..)?).ok()?.split_ascii_whitespace();
        let state = rest.next()?.chars().next()?; // field 3
        let ppid = rest.next()?.parse().ok()?;
        let session = rest.nth(1)?.parse().ok()?; // 6
        let flags = rest.nth(2)?.parse().ok()?; // 9
        let start_time = rest.nth(12)?.parse().ok()?; // 22
        Some(Self { pid, comm, state, ppid, session, flags, start_time })
    }

    /// Reads that of a process.
    ///
    /// # Errors
    /// `NotFound` when there is no such process.
    pub fn read(pid: u32) -> io::Result<Self> {
        let line = fs::read(format!("/proc/{pid}/stat")).map_err(|e| match e.raw_os_error() {
            // It ended between open and read.
            Some(libc::ESRCH) => io::ErrorKind::NotFound.into(),
            _ => e,
        })?;
        Self::parse(&line).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Whether it is a thread of the kernel.
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// Whether it has ended and only waits for its parent to notice.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// A process and its ancestors, nearest first, up to pid 1. Empty when the
/// process does not exist.
pub fn lineage(pid: u32) -> Vec<Stat> {
    // Deeper than any real tree, so that a table that changes underneath
    // cannot make this walk in circles.
    const DEEPEST: usize = 512;
    let mut line: Vec<Stat> = Vec::new();
    let mut next = pid;
    while next != 0 && line.len() < DEEPEST {
        let Ok(stat) = Stat::read(next) else { break };
        next = stat.ppid;
        line.push(stat);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_line() {
        let line = b"4711 (a) b (c)) S 12 4711 4700 34816 4711 4194560 1 2 3 4 5 6 7 8 20 0 1 0 \
                     987654 2 3 4\n";
        let stat = Stat::parse(line);
        assert_eq!(
            stat,
            Some(Stat {
                pid: 4711,
                comm: "a) b (c)".into(),
                state: 'S',
                ppid: 12,
                session: 4700,
                flags: 4_194_560,
                start_time: 987_654,
            })
        );
    }

    #[test]
    fn refuses_other_text() {
        for line in ["", "12", "12 (a", "12 (a) S 1 2", ") 12 (", "x (a) S 1 2 3"] {
            assert_eq!(Stat::parse(line.as_bytes()), None, "{line:?} was taken");
        }
    }

    #[test]
    fn this_process_and_its_ancestors() {
        let line = lineage(std::process::id());
        assert_eq!(line.first().map(|s| s.pid), Some(std::process::id()));
        assert_eq!(line.last().map(|s| s.ppid), Some(0));
        assert!(line.windows(2).all(|w| w[0].ppid == w[1].pid));
        assert_eq!(lineage(u32::MAX), []);
    }
}
