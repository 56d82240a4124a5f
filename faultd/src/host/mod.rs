//! What this host is and offers: namespaces, interfaces, processes, control
//! groups, capabilities, and how effects on it are taken back.
//!
//! Invariants:
//! - Nothing here knows the engine or a fault.
//! - Everything is synchronous; call it from threads that may block.
//! - No helper programs: netlink, bpf(2) and files only.

pub mod bpf;
pub mod cgroup;
pub mod links;
pub mod memory;
pub mod netlink;
pub mod netns;
pub mod probe;
pub mod process;
pub mod residue;
pub mod sockets;
pub mod ssh;
pub mod sysctl;
pub mod systemd;
pub mod tc;
#[cfg(test)]
pub(crate) mod test_support;
pub mod undo;
pub mod users;
