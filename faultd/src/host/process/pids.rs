//! Which processes there are.

use std::fs;

/// The ids of all processes in sight, ascending.
pub fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_is_among_them() {
        let pids = super::pids();
        assert!(pids.contains(&std::process::id()));
        assert!(pids.is_sorted());
    }
}
