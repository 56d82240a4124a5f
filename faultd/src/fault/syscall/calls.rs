//! Which system calls are judged where.

use std::env::consts::ARCH;

use aya_obj::generated::bpf_attach_type;
use faultd_abi::syscall::hook;
use faultd_api::Call;

use super::ladder::Backend;

/// A place where a call is judged: a program, and what it is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The program's name in the object.
    pub program: &'static str,
    /// The number that it judges under ([`hook`]).
    pub hook: u32,
    /// What it is attached to.
    pub at: At,
}

/// What a program is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// A function of the kernel, by name.
    Function(String),
    /// A hook of the BPF LSM, by the name of its function.
    Lsm(String),
    /// A hook of the root control group.
    Group(GroupHook),
}

/// Hooks of control groups at sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupHook {
    /// socket(2), IPv4 and IPv6.
    Create,
    /// connect(2) on IPv4.
    Connect4,
    /// connect(2) on IPv6.
    Connect6,
    /// bind(2) on IPv4.
    Bind4,
    /// bind(2) on IPv6.
    Bind6,
    /// Datagrams to an IPv4 address.
    Send4,
    /// Datagrams to an IPv6 address.
    Send6,
}

impl GroupHook {
    /// `BPF_CGROUP_*`.
    pub const fn attach_type(self) -> bpf_attach_type {
        match self {
            Self::Create => bpf_attach_type::BPF_CGROUP_INET_SOCK_CREATE,
            Self::Connect4 => bpf_attach_type::BPF_CGROUP_INET4_CONNECT,
            Self::Connect6 => bpf_attach_type::BPF_CGROUP_INET6_CONNECT,
            Self::Bind4 => bpf_attach_type::BPF_CGROUP_INET4_BIND,
            Self::Bind6 => bpf_attach_type::BPF_CGROUP_INET6_BIND,
            Self::Send4 => bpf_attach_type::BPF_CGROUP_UDP4_SENDMSG,
            Self::Send6 => bpf_attach_type::BPF_CGROUP_UDP6_SENDMSG,
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Create => "sock_create",
            Self::Connect4 => "connect4",
            Self::Connect6 => "connect6",
            Self::Bind4 => "bind4",
            Self::Bind6 => "bind6",
            Self::Send4 => "sendmsg4",
            Self::Send6 => "sendmsg6",
        }
    }

    fn place(self) -> Place {
        Place { program: self.program(), hook: hook::CGROUP, at: At::Group(self) }
    }
}

/// The security hooks that see a call, as (program, number); the function is
/// `security_` and the program's name. Empty: none does.
fn hooks(call: &str) -> &'static [(&'static str, u32)] {
    match call {
        "open" | "openat" | "openat2" | "creat" => {
            &[("file_open", hook::FILE_OPEN), ("inode_create", hook::INODE_CREATE)]
        }
        "read" | "pread64" | "readv" | "preadv" | "preadv2" | "write" | "pwrite64" | "writev"
        | "pwritev" | "pwritev2" | "getdents" | "getdents64" | "fallocate" => {
            &[("file_permission", hook::FILE_PERMISSION)]
        }
        "ioctl" => &[("file_ioctl", hook::FILE_IOCTL)],
        "truncate" => &[("path_truncate", hook::PATH_TRUNCATE)],
        "ftruncate" => &[("file_truncate", hook::FILE_TRUNCATE)],
        "stat" | "lstat" | "fstat" | "newfstatat" | "fstatat" | "statx" => {
            &[("inode_getattr", hook::INODE_GETATTR)]
        }
        "mkdir" | "mkdirat" => &[("inode_mkdir", hook::INODE_MKDIR)],
        "rmdir" => &[("inode_rmdir", hook::INODE_RMDIR)],
        "unlink" => &[("inode_unlink", hook::INODE_UNLINK)],
        "unlinkat" => &[("inode_unlink", hook::INODE_UNLINK), ("inode_rmdir", hook::INODE_RMDIR)],
        "rename" | "renameat" | "renameat2" => &[("inode_rename", hook::INODE_RENAME)],
        "link" | "linkat" => &[("inode_link", hook::INODE_LINK)],
        "symlink" | "symlinkat" => &[("inode_symlink", hook::INODE_SYMLINK)],
        "mmap" => &[("mmap_file", hook::MMAP_FILE)],
        "mprotect" => &[("file_mprotect", hook::FILE_MPROTECT)],
        "clone" | "clone3" | "fork" | "vfork" => &[("task_alloc", hook::TASK_ALLOC)],
        "execve" | "execveat" => &[("bprm_creds_for_exec", hook::BPRM_CREDS)],
        "kill" | "tkill" | "tgkill" => &[("task_kill", hook::TASK_KILL)],
        "socket" | "socketpair" => &[("socket_create", hook::SOCKET_CREATE)],
        "bind" => &[("socket_bind", hook::SOCKET_BIND)],
        "listen" => &[("socket_listen", hook::SOCKET_LISTEN)],
        "connect" => &[("socket_connect", hook::SOCKET_CONNECT)],
        "accept" | "accept4" => &[("socket_accept", hook::SOCKET_ACCEPT)],
        "sendto" | "sendmsg" | "sendmmsg" => &[("socket_sendmsg", hook::SOCKET_SENDMSG)],
        "recvfrom" | "recvmsg" | "recvmmsg" => &[("socket_recvmsg", hook::SOCKET_RECVMSG)],
        _ => &[],
    }
}

/// Whether what [`hooks`] sees of a call has to do with files.
fn hooks_see_files(call: &str) -> bool {
    hooks(call).first().is_some_and(|(program, _)| {
        !program.starts_with("socket_") && !program.starts_with("task_")
    })
}

/// Calls whose first argument is an open file.
const FIRST_IS_FILE: [&str; 20] = [
    "read",
    "pread64",
    "readv",
    "preadv",
    "preadv2",
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "fsync",
    "fdatasync",
    "syncfs",
    "sync_file_range",
    "ftruncate",
    "fallocate",
    "fstat",
    "getdents64",
    "ioctl",
    "flock",
];

/// The calls that the catalogue promises, in its order.
pub const PROMISED: [&str; 48] = [
    "open",
    "openat",
    "openat2",
    "creat",
    "read",
    "pread64",
    "readv",
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
    "rmdir",
    "rename",
    "renameat",
    "renameat2",
    "truncate",
    "ftruncate",
    "stat",
    "lstat",
    "fstat",
    "newfstatat",
    "statx",
    "mmap",
    "mprotect",
    "clone",
    "clone3",
    "fork",
    "execve",
    "socket",
    "bind",
    "listen",
    "connect",
    "accept",
    "accept4",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "ioctl",
    "kill",
    "tgkill",
];

/// Where a backend judges a call; `None` when it does not see it, or not the
/// path where one is asked for.
pub fn places(backend: Backend, call: Call, with_path: bool) -> Option<Vec<Place>> {
    let name = call.name();
    match backend {
        Backend::Entry => entry(name, with_path).map(|place| vec![place]),
        Backend::Lsm | Backend::Hook if with_path && !hooks_see_files(name) => None,
        Backend::Lsm | Backend::Hook => {
            let at = |program: &str| match backend {
                Backend::Lsm => At::Lsm(format!("bpf_lsm_{program}")),
                _ => At::Function(format!("security_{program}")),
            };
            let place = |(program, hook): &(&'static str, u32)| Place {
                program,
                hook: *hook,
                at: at(program),
            };
            let places: Vec<_> = hooks(name).iter().map(place).collect();
            (!places.is_empty()).then_some(places)
        }
        Backend::Group if with_path => None,
        Backend::Group => {
            let hooks: &[GroupHook] = match name {
                "socket" => &[GroupHook::Create],
                "connect" => &[GroupHook::Connect4, GroupHook::Connect6],
                "bind" => &[GroupHook::Bind4, GroupHook::Bind6],
                "sendto" | "sendmsg" | "sendmmsg" => &[GroupHook::Send4, GroupHook::Send6],
                _ => return None,
            };
            Some(hooks.iter().map(|hook| hook.place()).collect())
        }
    }
}

/// Where kernels judge a call that lack a place of today's.
pub fn before(place: &Place) -> Option<Place> {
    // Linux 6.2 gave ftruncate(2) a hook of its own.
    (place.program == "file_truncate").then(|| Place {
        program: "path_truncate",
        hook: hook::PATH_TRUNCATE,
        at: match &place.at {
            At::Lsm(_) => At::Lsm("bpf_lsm_path_truncate".to_owned()),
            _ => At::Function("security_path_truncate".to_owned()),
        },
    })
}

fn entry(name: &str, with_path: bool) -> Option<Place> {
    let program = match with_path {
        false => "entry",
        true if FIRST_IS_FILE.contains(&name) => "entry_fd",
        true => return None,
    };
    let prefix = match ARCH {
        "x86_64" => "__x64_sys_",
        "aarch64" => "__arm64_sys_",
        _ => return None,
    };
    // Where the kernel's function is not named as the call is.
    let function = match name {
        "stat" => "newstat",
        "lstat" => "newlstat",
        "fstat" => "newfstat",
        "fstatat" => "newfstatat",
        "uname" => "newuname",
        "sendfile" => "sendfile64",
        "umount2" => "umount",
        name => name,
    };
    Some(Place { program, hook: hook::ENTRY, at: At::Function(format!("{prefix}{function}")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str) -> Call {
        name.parse().unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    #[test]
    fn every_promised_call_has_a_security_hook_but_those_that_flush() {
        for name in PROMISED {
            let seen = places(Backend::Hook, call(name), false).is_some();
            assert_eq!(seen, !matches!(name, "fsync" | "fdatasync"), "{name}");
            assert!(places(Backend::Entry, call(name), false).is_some(), "{name}");
        }
    }

    #[test]
    fn paths_are_only_seen_where_there_are_files() {
        for (backend, name, sees) in [
            (Backend::Hook, "openat", true),
            (Backend::Hook, "execve", true),
            (Backend::Hook, "connect", false),
            (Backend::Hook, "clone", false),
            (Backend::Entry, "fsync", true),
            (Backend::Entry, "openat", false),
            (Backend::Group, "connect", false),
        ] {
            assert_eq!(places(backend, call(name), true).is_some(), sees, "{name}");
        }
    }
}
