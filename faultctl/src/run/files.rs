//! Which arguments of a system call name files (syscalls(2)).

/// An argument that names a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileArg {
    /// A path in argument `at`, relative to the directory open in argument `dir`
    /// or else to the working directory.
    Path { dir: Option<u8>, at: u8 },
    /// An open file.
    Fd(u8),
}

const fn path(at: u8) -> FileArg {
    FileArg::Path { dir: None, at }
}

const fn path_at(dir: u8, at: u8) -> FileArg {
    FileArg::Path { dir: Some(dir), at }
}

const FD: &[FileArg] = &[FileArg::Fd(0)];
const PATH: &[FileArg] = &[path(0)];
const AT: &[FileArg] = &[path_at(0, 1)];
const TWO_PATHS: &[FileArg] = &[path(0), path(1)];
const SECOND: &[FileArg] = &[path(1)];
const LINK_AT: &[FileArg] = &[path_at(1, 2)];
const TWO_AT: &[FileArg] = &[path_at(0, 1), path_at(2, 3)];

/// The arguments of the call `name` that name files; empty if none does.
pub fn of(name: &str) -> &'static [FileArg] {
    match name {
        "open" | "creat" | "stat" | "lstat" | "access" | "mkdir" | "rmdir" | "mknod" | "unlink"
        | "truncate" | "chdir" | "chroot" | "chmod" | "chown" | "lchown" | "readlink"
        | "execve" | "statfs" | "utime" | "utimes" | "acct" | "swapon" | "swapoff" | "umount2"
        | "uselib" | "getxattr" | "lgetxattr" | "setxattr" | "lsetxattr" | "listxattr"
        | "llistxattr" | "removexattr" | "lremovexattr" => PATH,
        "openat" | "openat2" | "mkdirat" | "mknodat" | "unlinkat" | "newfstatat" | "fstatat"
        | "statx" | "faccessat" | "faccessat2" | "fchmodat" | "fchmodat2" | "fchownat"
        | "readlinkat" | "utimensat" | "futimesat" | "execveat" | "name_to_handle_at"
        | "open_tree" | "getxattrat" | "setxattrat" | "listxattrat" | "removexattrat" => AT,
        "rename" | "link" => TWO_PATHS,
        // The target of a symbolic link is text; the link is a file.
        "symlink" | "inotify_add_watch" => SECOND,
        "symlinkat" => LINK_AT,
        "renameat" | "renameat2" | "linkat" => TWO_AT,
        "read" | "readv" | "pread64" | "preadv" | "preadv2" | "write" | "writev" | "pwrite64"
        | "pwritev" | "pwritev2" | "fsync" | "fdatasync" | "syncfs" | "sync_file_range"
        | "ftruncate" | "fallocate" | "fadvise64" | "readahead" | "lseek" | "fstat" | "fstatfs"
        | "getdents" | "getdents64" | "ioctl" | "fcntl" | "flock" | "close" | "dup" | "dup2"
        | "dup3" | "fchmod" | "fchown" | "fchdir" | "fgetxattr" | "fsetxattr" | "flistxattr"
        | "fremovexattr" => FD,
        "sendfile" => &[FileArg::Fd(0), FileArg::Fd(1)],
        "copy_file_range" | "splice" => &[FileArg::Fd(0), FileArg::Fd(2)],
        "mmap" => &[FileArg::Fd(4)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use faultd_api::Call;

    use super::*;

    #[test]
    fn every_name_is_a_call_of_some_architecture() {
        let with_files = Call::names().into_iter().filter(|name| !of(name).is_empty()).count();
        assert_eq!(with_files, 105);
        assert_eq!(of("openat"), [FileArg::Path { dir: Some(0), at: 1 }]);
        assert_eq!(of("socket"), []);
    }
}
