//! BPF programs, and the processes that hold them.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
};

use crate::host::process::pids;

pub(super) fn programs() -> io::Result<BTreeSet<String>> {
    let all = crate::host::bpf::programs()?;
    Ok(all.iter().map(|p| format!("program {}: {} (type {})", p.id, p.name, p.kind)).collect())
}

/// Which processes hold a descriptor of each program, by program id; links
/// count for the program that they attach. From proc_pid_fdinfo(5).
pub(super) fn holders() -> HashMap<u32, BTreeSet<u32>> {
    let mut found: HashMap<u32, BTreeSet<u32>> = HashMap::new();
    for pid in pids() {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for entry in entries.flatten() {
            // Reading the link first spares an fdinfo for every plain file.
            let Ok(link) = fs::read_link(entry.path()) else { continue };
            if !link.as_os_str().as_encoded_bytes().starts_with(b"anon_inode:bpf") {
                continue;
            }
            let info = format!("/proc/{pid}/fdinfo/{}", entry.file_name().display());
            if let Some(id) = fs::read_to_string(info).ok().as_deref().and_then(program_id) {
                found.entry(id).or_default().insert(pid);
            }
        }
    }
    found
}

fn program_id(fdinfo: &str) -> Option<u32> {
    fdinfo.lines().find_map(|l| l.strip_prefix("prog_id:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_id_is_found_in_fdinfo() {
        let text = "pos:\t0\nflags:\t02000002\nlink_type:\ttcx\nlink_id:\t3\nprog_id:\t17\n";
        assert_eq!(program_id(text), Some(17));
        assert_eq!(program_id("pos:\t0\nmap_id:\t17\n"), None);
    }
}
