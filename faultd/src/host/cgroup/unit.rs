//! The control group of a systemd unit: systemd tells it, and names it after
//! the unit.

use std::path::{Path, PathBuf};

use super::{CgroupError, CgroupRef, clean, mount::Mounts, points, procs::walk};
use crate::host::systemd;

/// Suffixes of unit names; systemd.unit(5).
const TYPES: [&str; 11] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];

/// The group of a unit; a name without a suffix is a service's. systemd is
/// asked, which knows aliases. Where it does not run, or knows no such unit (a
/// container may run a systemd of its own, and each user has one), the group is
/// looked for by its name; of several the nearest to the root counts.
///
/// # Errors
/// When there is none, with the places that were searched, or when several
/// are equally near.
pub fn unit(name: &str) -> Result<CgroupRef, CgroupError> {
    let told = systemd::control_group(&full_name(name));
    unit_in(&Mounts::read()?, name, told.as_deref())
}

/// The same, `told` being what systemd says.
fn unit_in(mounts: &Mounts, name: &str, told: Option<&str>) -> Result<CgroupRef, CgroupError> {
    let unit = full_name(name);
    if let Some(below) = told.and_then(clean)
        && let Some(group) = CgroupRef::at(mounts.of_systemd(), &below)?
    {
        return Ok(group);
    }
    // systemd src/basic/cgroup-util.c, `cg_escape`: names that could be taken
    // for a file of the kernel's get an underscore.
    let escaped = format!("_{unit}");
    for mount in mounts.of_systemd() {
        let found: Vec<PathBuf> = walk(&mount.point)
            .filter(|dir| dir.file_name().is_some_and(|n| *n == *unit || *n == *escaped))
            .filter_map(|dir| Some(dir.strip_prefix(&mount.point).ok()?.to_owned()))
            .collect();
        if let Some(below) = nearest(&unit, &found)?
            && let Some(group) = CgroupRef::at(mounts.of_systemd(), below)?
        {
            return Ok(group);
        }
    }
    let looked = match points(mounts.of_systemd()) {
        none if none.is_empty() => return Err(CgroupError::NoHierarchy),
        some => format!("for a control group of that name below {some} (is the unit running?)"),
    };
    Err(CgroupError::NotFound { wanted: format!("unit {unit}"), looked })
}

/// The first, which is the nearest, unless another is as near.
fn nearest<'f>(unit: &str, found: &'f [PathBuf]) -> Result<Option<&'f Path>, CgroupError> {
    let Some(first) = found.first() else { return Ok(None) };
    let depth = first.components().count();
    let as_near: Vec<String> = found
        .iter()
        .filter(|p| p.components().count() == depth)
        .map(|p| format!("--cgroup /{}", p.display()))
        .collect();
    if as_near.len() > 1 {
        return Err(CgroupError::Ambiguous { wanted: format!("unit {unit}"), found: as_near });
    }
    Ok(Some(first))
}

fn full_name(name: &str) -> String {
    if TYPES.iter().any(|t| name.ends_with(t)) {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Mounts whose hierarchies are ordinary folders.
    fn host(dirs: &[&str]) -> (tempfile::TempDir, Mounts) {
        let root = tempfile::tempdir().expect("a temporary folder");
        for dir in dirs {
            fs::create_dir_all(root.path().join(dir)).expect("a folder");
        }
        let line = |point: &str, kind: &str, options: &str| {
            format!("1 1 0:1 / {}/{point} rw - {kind} x {options}\n", root.path().display())
        };
        let mounts = line("systemd", "cgroup", "rw,name=systemd");
        (root, Mounts::parse(mounts.as_bytes()))
    }

    #[test]
    fn suffixes() {
        assert_eq!(full_name("nginx"), "nginx.service");
        assert_eq!(full_name("user.slice"), "user.slice");
        assert_eq!(full_name("getty@tty1"), "getty@tty1.service");
        assert_eq!(full_name("python3.11"), "python3.11.service");
    }

    #[test]
    fn the_nearest_counts() {
        let (_root, mounts) = host(&[
            "systemd/system.slice/web.service",
            "systemd/system.slice/docker-1.scope/system.slice/web.service",
            "systemd/system.slice/_cpu.service",
        ]);
        let path = |name| unit_in(&mounts, name, None).map(|g| g.path).map_err(|e| e.to_string());
        assert_eq!(path("web"), Ok("/system.slice/web.service".into()));
        assert_eq!(path("cpu.service"), Ok("/system.slice/_cpu.service".into()));
        assert_eq!(path("system.slice"), Ok("/system.slice".into()));
        let missing = path("db").expect_err("there is none");
        assert!(missing.starts_with("no unit db.service; looked for"), "{missing}");
        assert!(missing.contains("/systemd"), "{missing}");
    }

    #[test]
    fn what_systemd_says_goes_first() {
        let (_root, mounts) = host(&["systemd/system.slice/ssh.service", "systemd/u1/app.service"]);
        let path = |name, told| unit_in(&mounts, name, told).map(|g| g.path).ok();
        let alias = path("sshd", Some("/system.slice/ssh.service"));
        assert_eq!(alias.as_deref(), Some("/system.slice/ssh.service"));
        assert_eq!(path("sshd", None), None);
        // What it names may be out of sight, or gone by now.
        let gone = path("app", Some("/system.slice/app.service"));
        assert_eq!(gone.as_deref(), Some("/u1/app.service"));
    }

    #[test]
    fn as_near_as_another_is_ambiguous() {
        let (_root, mounts) = host(&["systemd/u1/app.service", "systemd/u2/app.service"]);
        let error = unit_in(&mounts, "app", None).expect_err("two are as near").to_string();
        assert!(error.contains("--cgroup /u1/app.service"), "{error}");
        assert!(error.contains("--cgroup /u2/app.service"), "{error}");
    }
}
