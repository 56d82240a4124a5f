//! Which file a waiting system call is about, as far as its process shows it.
//!
//! The path is read from the memory of a process whose other threads run on:
//! they can change it between this look and the kernel's own. That makes a fault
//! hit or miss a call; it is no protection and does not have to be one.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Component, Path, PathBuf},
};

use super::{files::FileArg, listener::Notification};

/// PATH_MAX, include/uapi/linux/limits.h.
const PATH_MAX: usize = 4096;

/// `--path`: a file, or a directory with everything in it.
#[derive(Debug)]
pub struct Prefix {
    written: PathBuf,
    /// Where it leads to, if it is there.
    real: Option<PathBuf>,
}

impl Prefix {
    /// From an absolute path.
    pub fn new(path: &str) -> Self {
        let written = normal(Path::new(path));
        let real = fs::canonicalize(&written).ok();
        Self { written, real }
    }

    /// Whether one of the files that the call names lies there.
    ///
    /// # Errors
    /// When the process does not show it.
    pub fn covers(&self, call: &Notification, args: &[FileArg]) -> io::Result<bool> {
        let mut unreadable = None;
        for arg in args {
            match file(call, *arg) {
                Ok(Some(file)) if self.holds(&file) => return Ok(true),
                Ok(_) => {}
                Err(e) => unreadable = Some(e),
            }
        }
        unreadable.map_or(Ok(false), Err)
    }

    /// By what is written or by what it leads to.
    fn holds(&self, file: &Path) -> bool {
        let real = self.real.as_deref().unwrap_or(&self.written);
        file.starts_with(&self.written)
            || file.starts_with(real)
            || resolved(file).is_some_and(|file| file.starts_with(real))
    }
}

/// The absolute path of one argument, as this process would write it. `None`:
/// the argument names no file (mmap(2) without one).
fn file(call: &Notification, arg: FileArg) -> io::Result<Option<PathBuf>> {
    let at = |n: u8| call.data.args[usize::from(n)];
    let (dir, address) = match arg {
        FileArg::Fd(n) if is_none(at(n)) => return Ok(None),
        FileArg::Fd(n) => return open_file(call.tid, at(n)).map(Some),
        FileArg::Path { dir, at: n } => (dir.map(at), at(n)),
    };
    if address == 0 {
        // utimensat(2) and its like: the descriptor is the file.
        return dir.map(|fd| open_file(call.tid, fd)).transpose();
    }
    let text = string(call.tid, address)?;
    let path = Path::new(OsStr::from_bytes(&text));
    if path.is_absolute() {
        let root = link(call.tid, "root")?;
        // A process in a root of its own means a path below it.
        let below = path.strip_prefix("/").unwrap_or(path);
        return Ok(Some(normal(&root.join(below))));
    }
    let base = match dir {
        Some(fd) if !is_cwd(fd) => open_file(call.tid, fd)?,
        _ => link(call.tid, "cwd")?,
    };
    Ok(Some(normal(&base.join(path))))
}

/// Descriptors are the lower half of their register (close(2) takes an int).
const fn descriptor(value: u64) -> i32 {
    (value & 0xffff_ffff) as u32 as i32
}

fn is_none(value: u64) -> bool {
    descriptor(value) == -1
}

fn is_cwd(value: u64) -> bool {
    descriptor(value) == libc::AT_FDCWD
}

fn open_file(tid: u32, fd: u64) -> io::Result<PathBuf> {
    if is_cwd(fd) {
        return link(tid, "cwd");
    }
    let path = link(tid, &format!("fd/{}", descriptor(fd)))?;
    let bytes = path.as_os_str().as_bytes();
    // What the kernel adds to the name of a file that is unlinked (proc_pid_fd(5)).
    Ok(match bytes.strip_suffix(b" (deleted)") {
        Some(name) => PathBuf::from(OsStr::from_bytes(name)),
        None => path,
    })
}

fn link(tid: u32, name: &str) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{tid}/{name}"))
}

/// A zero-terminated string in the memory of a thread.
fn string(tid: u32, address: u64) -> io::Result<Vec<u8>> {
    const PAGE: u64 = 4096;
    let memory = File::open(format!("/proc/{tid}/mem"))?;
    let mut text = Vec::new();
    while text.len() < PATH_MAX {
        let at = address.saturating_add(text.len() as u64);
        // Not beyond the page: the next one may not be there.
        let mut part = vec![0; (PAGE - at % PAGE) as usize];
        let read = memory.read_at(&mut part, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let part = &part[..read];
        if let Some(end) = part.iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&part[..end]);
            return Ok(text);
        }
        text.extend_from_slice(part);
    }
    Err(io::ErrorKind::InvalidFilename.into())
}

/// Without `.`, `..` and doubled slashes, as text.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// Where a path leads to: symbolic links followed, the last part need not exist.
fn resolved(path: &Path) -> Option<PathBuf> {
    if let Ok(real) = fs::canonicalize(path) {
        return Some(real);
    }
    Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(args: [u64; 6]) -> Notification {
        let data = libc::seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args };
        // SAFETY: no arguments; a test has threads, so not the process id.
        let tid = unsafe { libc::gettid() };
        Notification { id: 0, tid: tid.unsigned_abs(), data }
    }

    fn covers(prefix: &str, text: &std::ffi::CStr, dir: u64) -> bool {
        let arg = FileArg::Path { dir: Some(0), at: 1 };
        let call = call([dir, text.as_ptr() as u64, 0, 0, 0, 0]);
        Prefix::new(prefix).covers(&call, &[arg]).unwrap()
    }

    #[test]
    fn a_prefix_is_made_of_whole_names() {
        let cwd = i64::from(libc::AT_FDCWD).cast_unsigned();
        assert!(covers("/nowhere/app", c"/nowhere/app/x/y", cwd));
        assert!(covers("/nowhere/app/", c"/nowhere/app", cwd));
        assert!(covers("/nowhere/app", c"/nowhere//other/../app/./x", cwd));
        assert!(!covers("/nowhere/app", c"/nowhere/application", cwd));
        assert!(!covers("/nowhere/app", c"/nowhere/app/../x", cwd));
    }

    #[test]
    fn relative_paths_and_links_lead_somewhere() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, dir.path().join("link")).unwrap();
        let open = File::open(dir.path()).unwrap();
        let fd = u64::from(std::os::fd::AsRawFd::as_raw_fd(&open).unsigned_abs());
        let (real, link) = (real.to_str().unwrap(), dir.path().join("link"));
        assert!(covers(real, c"real/new", fd));
        assert!(covers(real, c"link/new", fd));
        assert!(covers(link.to_str().unwrap(), c"real/new", fd));
        assert!(!covers(real, c"other/new", fd));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_no_file_is_none() {
        let arg = FileArg::Path { dir: None, at: 0 };
        assert!(Prefix::new("/").covers(&call([1; 6]), &[arg]).is_err());
        assert!(!Prefix::new("/").covers(&call([u64::MAX; 6]), &[FileArg::Fd(0)]).unwrap());
    }
}
