//! All processes of the host, read in one pass over `/proc`.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Read},
};

use super::{pids, stat::Stat};

/// A snapshot. Processes that start or end while it is taken may be missing.
#[derive(Debug, Clone, Default)]
pub struct Table {
    by_pid: HashMap<u32, Stat>,
}

impl Table {
    /// Takes one; one file read for each process.
    ///
    /// # Errors
    /// When procfs is not mounted at `/proc`.
    pub fn read() -> io::Result<Self> {
        let mut line = Vec::with_capacity(1024);
        let mut by_pid = HashMap::new();
        for pid in pids() {
            line.clear();
            // One that ended meanwhile is left out.
            let read = File::open(format!("/proc/{pid}/stat"))
                .and_then(|mut file| file.read_to_end(&mut line));
            if read.is_ok()
                && let Some(stat) = Stat::parse(&line)
            {
                by_pid.insert(pid, stat);
            }
        }
        if by_pid.is_empty() {
            // Not even this process: there is no procfs.
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { by_pid })
    }

    /// One process.
    pub fn get(&self, pid: u32) -> Option<&Stat> {
        self.by_pid.get(&pid)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Stat> {
        self.by_pid.values()
    }

    /// A process and all its descendants.
    pub fn family(&self, pid: u32) -> HashSet<u32> {
        self.with_descendants([pid], &HashSet::new())
    }

    /// `roots` and all their descendants, without the trees that start at
    /// `except`.
    pub fn with_descendants(
        &self,
        roots: impl IntoIterator<Item = u32>,
        except: &HashSet<u32>,
    ) -> HashSet<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for stat in self.iter() {
            children.entry(stat.ppid).or_default().push(stat.pid);
        }
        let mut all = HashSet::new();
        let mut todo: Vec<u32> = roots.into_iter().collect();
        while let Some(pid) = todo.pop() {
            if !except.contains(&pid) && all.insert(pid) {
                todo.extend(children.get(&pid).into_iter().flatten());
            }
        }
        all
    }
}

#[cfg(test)]
impl FromIterator<Stat> for Table {
    fn from_iter<I: IntoIterator<Item = Stat>>(stats: I) -> Self {
        Self { by_pid: stats.into_iter().map(|s| (s.pid, s)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, ppid: u32) -> Stat {
        Stat { pid, comm: "x".into(), state: 'S', ppid, session: 1, flags: 0, start_time: 1 }
    }

    #[test]
    fn descendants() {
        let table: Table = [(1, 0), (2, 1), (3, 2), (4, 2), (5, 4), (6, 1)]
            .map(|(a, b)| process(a, b))
            .into_iter()
            .collect();
        let of = |root, except: &[u32]| {
            let except = except.iter().copied().collect();
            let mut all: Vec<_> = table.with_descendants([root], &except).into_iter().collect();
            all.sort_unstable();
            all
        };
        assert_eq!(of(2, &[]), [2, 3, 4, 5]);
        assert_eq!(of(2, &[4]), [2, 3]);
        assert_eq!(of(5, &[]), [5]);
        assert_eq!(of(2, &[2]), [0u32; 0]);
    }

    #[test]
    fn holds_this_process() -> io::Result<()> {
        let table = Table::read()?;
        assert!(table.get(std::process::id()).is_some());
        assert!(table.get(1).is_some());
        Ok(())
    }
}
