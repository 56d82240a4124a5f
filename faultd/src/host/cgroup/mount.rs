//! Where control group hierarchies are mounted: version 2 alone, version 1
//! with one mount for each controller, or both side by side (hybrid).

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// Options of a version 1 mount that are not controllers; Linux
/// kernel/cgroup/cgroup-v1.c, `cgroup1_show_options`.
const OPTIONS: [&str; 9] = [
    "rw",
    "ro",
    "noprefix",
    "xattr",
    "cpuset_v2_mode",
    "clone_children",
    "favordynmods",
    "none",
    "seclabel",
];

/// One tree of control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 2, the unified one.
    V2,
    /// Version 1 with these controllers.
    V1(Vec<String>),
    /// Version 1 without controllers, under a name (`systemd`).
    Named(String),
}

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Which one.
    pub hierarchy: Hierarchy,
    /// The control group that the mount point shows, `/` for the whole tree.
    pub root: String,
    /// Where it is mounted.
    pub point: PathBuf,
}

/// All hierarchies in sight: version 2 first, then `name=systemd`, then the
/// others; each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// Those of the calling process's mount namespace.
    ///
    /// # Errors
    /// When procfs is not mounted at `/proc`.
    pub fn read() -> io::Result<Self> {
        Ok(Self::parse(&fs::read("/proc/self/mountinfo")?))
    }

    /// Parses the content of proc_pid_mountinfo(5); lines of other file
    /// systems are skipped.
    pub fn parse(mountinfo: &[u8]) -> Self {
        let mut mounts: Vec<Mount> = Vec::new();
        for mount in mountinfo.split(|b| *b == b'\n').filter_map(parse_line) {
            let same = mounts.iter_mut().find(|m| m.hierarchy == mount.hierarchy);
            match same {
                // Of several mounts of a hierarchy the one that shows all of it.
                Some(earlier) if earlier.root != "/" && mount.root == "/" => *earlier = mount,
                Some(_) => {}
                None => mounts.push(mount),
            }
        }
        mounts.sort_by_key(|m| match &m.hierarchy {
            Hierarchy::V2 => 0,
            Hierarchy::Named(name) if name == "systemd" => 1,
            Hierarchy::V1(_) => 2,
            Hierarchy::Named(_) => 3,
        });
        Self(mounts)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }

    /// Version 2, where it is mounted.
    pub fn v2(&self) -> Option<&Mount> {
        self.iter().find(|m| m.hierarchy == Hierarchy::V2)
    }

    /// The hierarchies in which systemd keeps its units: version 2, or
    /// `name=systemd`, or both.
    pub fn of_systemd(&self) -> impl Iterator<Item = &Mount> {
        self.iter().filter(|m| match &m.hierarchy {
            Hierarchy::V2 => true,
            Hierarchy::Named(name) => name == "systemd",
            Hierarchy::V1(_) => false,
        })
    }

    /// The mount that an absolute path leads into, and the path below it.
    pub fn containing<'p>(&self, path: &'p Path) -> Option<(&Mount, &'p Path)> {
        self.iter()
            .filter_map(|m| Some((m, path.strip_prefix(&m.point).ok()?)))
            .max_by_key(|(m, _)| m.point.as_os_str().len())
    }
}

/// `ID PARENT MAJ:MIN ROOT POINT OPTIONS [FIELDS…] - TYPE SOURCE SUPER`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let root = unescape(fields.nth(3)?);
    let point = unescape(fields.next()?);
    fields.find(|f| *f == b"-")?;
    let kind = fields.next()?;
    let options = str::from_utf8(fields.nth(1)?).ok()?;
    let hierarchy = match kind {
        b"cgroup2" => Hierarchy::V2,
        b"cgroup" => v1(options),
        _ => return None,
    };
    Some(Mount {
        hierarchy,
        root: String::from_utf8(root).ok()?,
        point: OsString::from_vec(point).into(),
    })
}

fn v1(options: &str) -> Hierarchy {
    if let Some(name) = options.split(',').find_map(|o| o.strip_prefix("name=")) {
        return Hierarchy::Named(name.to_owned());
    }
    let controllers = options.split(',').filter(|o| !OPTIONS.contains(o) && !o.contains('='));
    Hierarchy::V1(controllers.map(str::to_owned).collect())
}

/// Undoes the kernel's `\040` for spaces, tabs, line breaks and backslashes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = (byte == b'\\').then(|| tail.get(..3)).flatten();
        let code = octal
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                out.push(code);
                rest = &tail[3..];
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURE: &str = "\
24 30 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 \
rw,nsdelegate,memory_recursiveprot
";
    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup \
rw,xattr,release_agent=/usr/lib/systemd/systemd-cgroups-agent,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const V1: &str = "\
32 31 0:29 / /sys/fs/cgroup/memory rw,relatime shared:1 master:2 - cgroup cgroup rw,memory
33 31 0:30 /docker/abc /mnt/with\\040space rw - cgroup cgroup rw,freezer
34 31 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
";

    fn points(mounts: &Mounts) -> Vec<&str> {
        mounts.iter().filter_map(|m| m.point.to_str()).collect()
    }

    #[test]
    fn version_two_alone() {
        let mounts = Mounts::parse(PURE.as_bytes());
        assert_eq!(points(&mounts), ["/sys/fs/cgroup"]);
        assert_eq!(mounts.v2().map(|m| m.root.as_str()), Some("/"));
        assert_eq!(mounts.of_systemd().count(), 1);
    }

    #[test]
    fn both_versions() {
        let mounts = Mounts::parse(HYBRID.as_bytes());
        assert_eq!(
            points(&mounts),
            ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/cpu,cpuacct"]
        );
        assert_eq!(mounts.of_systemd().count(), 2);
        let hierarchies: Vec<_> = mounts.iter().map(|m| m.hierarchy.clone()).collect();
        assert_eq!(
            hierarchies,
            [
                Hierarchy::V2,
                Hierarchy::Named("systemd".into()),
                Hierarchy::V1(vec!["cpu".into(), "cpuacct".into()])
            ]
        );
        let (mount, below) = mounts
            .containing(Path::new("/sys/fs/cgroup/unified/a/b"))
            .map(|(m, p)| (m.hierarchy.clone(), p.to_owned()))
            .unzip();
        assert_eq!((mount, below), (Some(Hierarchy::V2), Some("a/b".into())));
        assert_eq!(mounts.containing(Path::new("/sys/fs/cgroup/unifiedly")), None);
    }

    #[test]
    fn version_one_alone_and_the_mount_that_shows_the_whole_tree() {
        let mounts = Mounts::parse(V1.as_bytes());
        assert_eq!(points(&mounts), ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/freezer"]);
        assert_eq!(mounts.v2(), None);
        assert_eq!(mounts.of_systemd().count(), 0);
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(b"/mnt/with\\040space\\134"), b"/mnt/with space\\");
        assert_eq!(unescape(b"a\\9\\"), b"a\\9\\");
        let only = Mounts::parse(V1.lines().nth(1).unwrap_or_default().as_bytes());
        assert_eq!(points(&only), ["/mnt/with space"]);
    }

    #[test]
    fn other_text_is_skipped() {
        assert_eq!(Mounts::parse(b"\n1 2 3\n- - - - - -\n\xff\xfe\n"), Mounts::default());
    }
}
