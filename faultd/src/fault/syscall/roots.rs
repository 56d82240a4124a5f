//! `--path` as the kernel knows it: the inodes of the file or directory, and of
//! what is mounted below it. Programs compare these on the way up from a file,
//! so names, links and namespaces make no difference.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

use faultd_abi::syscall::Root;

/// Most mounts below one path.
pub const MOST: usize = 256;

/// The roots of a path that is there.
///
/// # Errors
/// When it is not, or the kernel does not tell (`/proc/self/fdinfo`, Linux 5.14).
pub fn of(path: &Path) -> io::Result<Vec<Root>> {
    let real = fs::canonicalize(path)?;
    let mounts = Mount::read()?;
    let mut roots = vec![root(&real, &mounts)?];
    let mut seen = BTreeSet::new();
    for mount in &mounts {
        if mount.point == real || !mount.point.starts_with(&real) || !seen.insert(&mount.point) {
            continue;
        }
        // A mount that goes meanwhile has nothing to be hit either; one below
        // another is shown by whatever lies on top.
        roots.extend(root(&mount.point, &mounts).ok());
    }
    if roots.len() > MOST {
        let message = format!("{} mounts lie below it, at most {MOST} fit", roots.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(roots)
}

/// The inode of one path. Its number is not always that of stat(2), which
/// overlayfs and btrfs make up; nor is the device.
fn root(path: &Path, mounts: &[Mount]) -> io::Result<Root> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", opened.as_raw_fd()))?;
    let field = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().parse::<u64>().ok()
    };
    let lacks = |what: &str| {
        io::Error::new(io::ErrorKind::Unsupported, format!("/proc/self/fdinfo has no {what}"))
    };
    let id = field("mnt_id:").ok_or_else(|| lacks("mnt_id"))?;
    let ino = match field("ino:") {
        Some(ino) => ino,
        None => of_stat(&opened)?,
    };
    let mount = mounts.iter().find(|mount| mount.id == id);
    let mount = mount.ok_or_else(|| lacks("mount that mountinfo shows"))?;
    Ok(Root { ino, dev: mount.dev, pad: 0 })
}

/// Before Linux 5.14; right on ordinary file systems.
fn of_stat(opened: &File) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    opened.metadata().map(|found| found.ino())
}

/// A line of mountinfo (proc_pid_mountinfo(5)).
struct Mount {
    id: u64,
    /// As the kernel has it inside: 20 bits of minor (include/linux/kdev_t.h).
    dev: u32,
    point: PathBuf,
}

impl Mount {
    fn read() -> io::Result<Vec<Self>> {
        let text = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(text.lines().filter_map(Self::parse).collect())
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        let id = fields.next()?.parse().ok()?;
        let (major, minor) = fields.nth(1)?.split_once(':')?;
        let (major, minor) = (major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?);
        let point = unescaped(fields.nth(1)?);
        Some(Self { id, dev: major << 20 | minor, point: point.into() })
    }
}

/// Blanks and the like are octal: `\040`.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                out.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_line_of_mountinfo_is_read() {
        let line = r"36 35 98:3 /mnt1 /mnt/a\040b rw,noatime master:1 - ext3 /dev/root rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.id, mount.dev), (36, 98 << 20 | 3));
        assert_eq!(mount.point, Path::new("/mnt/a b"));
    }

    #[test]
    fn a_directory_is_known_by_its_inode() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let roots = of(&link).unwrap();
        assert_eq!(roots.len(), 1);
        assert_eq!(roots[0].ino, fs::metadata(dir.path()).unwrap().ino());
        assert!(of(&dir.path().join("nothing")).is_err());
        // What is mounted below counts too.
        assert!(of(Path::new("/")).unwrap().len() > 1);
    }
}
