use std::{
    fs, io,
    process::{Child, Command},
};

use super::*;
use crate::host::test_support::skipped;

/// A control group of the test's own, removed with the value.
pub(crate) struct OwnCgroup(pub(crate) PathBuf);

impl OwnCgroup {
    /// In a hierarchy that `wanted` picks. `None`, said aloud, where that is
    /// not possible.
    pub(crate) fn new(name: &str, wanted: impl Fn(&Hierarchy) -> bool) -> Option<Self> {
        let mounts = Mounts::read().ok()?;
        let Some(mount) = mounts.iter().find(|m| wanted(&m.hierarchy)) else {
            skipped("no such control group hierarchy here");
            return None;
        };
        let dir = mount.point.join(format!("faultd-test-{}-{name}", std::process::id()));
        if let Err(error) = fs::create_dir(&dir) {
            skipped(&format!("cannot make {}: {error}", dir.display()));
            return None;
        }
        Some(Self(dir))
    }

    pub(crate) fn v2(name: &str) -> Option<Self> {
        Self::new(name, |h| *h == Hierarchy::V2)
    }

    pub(crate) fn name(&self) -> String {
        self.0.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub(crate) fn add(&self, pid: u32) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        // A killed process leaves its group a moment after it was waited for.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

struct Sleeper(Child);

impl Sleeper {
    fn start() -> io::Result<Self> {
        Ok(Self(Command::new("sleep").arg("60").spawn()?))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn paths_are_cleaned() {
    let text = |path| clean(path).map(|p| p.display().to_string());
    assert_eq!(text("/a//b/./c/"), Some("a/b/c".into()));
    assert_eq!(text("/"), Some(String::new()));
    assert_eq!(text("a/../b"), None);
}

#[test]
fn a_group_that_does_not_exist() {
    let error = find("/no/such/group").expect_err("there is none").to_string();
    assert!(error.contains("no control group \"/no/such/group\""), "{error}");
    assert!(error.contains("looked for /"), "{error}");
    assert!(matches!(find("/a/../b"), Err(CgroupError::BadPath(_))));
}

#[test]
fn own_group_with_a_descendant() -> io::Result<()> {
    let Some(parent) = OwnCgroup::v2("tree") else { return Ok(()) };
    let child = OwnCgroup(parent.0.join("child"));
    fs::create_dir(&child.0)?;
    let sleeper = Sleeper::start()?;
    child.add(sleeper.0.id())?;

    let group = find(&parent.name()).map_err(io::Error::other)?;
    assert_eq!(group.path, format!("/{}", parent.name()));
    assert_eq!(group.v2_dir(), Some(parent.0.as_path()));
    assert_eq!(group.v2.map(|v2| v2.id), Some(id::kernfs_id(&parent.0)?));
    assert_eq!(group.v2.map(|v2| v2.level), Some(1));
    assert_eq!(procs(&group)?, [sleeper.0.id()]);

    // By its absolute path, and one level deeper.
    let below = find(&child.0.display().to_string()).map_err(io::Error::other)?;
    assert_eq!(below.path, format!("{}/child", group.path));
    assert_eq!(below.v2.map(|v2| v2.level), Some(2));
    drop(sleeper);
    drop(child);
    Ok(())
}

#[test]
fn version_one_only() -> io::Result<()> {
    let Some(group) = OwnCgroup::new("v1", |h| matches!(h, Hierarchy::V1(c) if c == &["pids"]))
    else {
        return Ok(());
    };
    let found = find(&group.name()).map_err(io::Error::other)?;
    assert_eq!(found.v2, None);
    assert_eq!(found.v1_dir("pids"), Some(group.0.as_path()));
    assert_eq!(found.v1_dir("memory"), None);
    Ok(())
}

#[test]
fn a_unit_and_a_container_by_directory_names() -> io::Result<()> {
    let Some(parent) = OwnCgroup::v2("named") else { return Ok(()) };
    let unit_name = format!("faultd-test-{}.service", std::process::id());
    let as_unit = OwnCgroup(parent.0.join(&unit_name));
    fs::create_dir(&as_unit.0)?;
    let found = unit(unit_name.trim_end_matches(".service")).map_err(io::Error::other)?;
    assert_eq!(found.v2_dir(), Some(as_unit.0.as_path()));

    let id = format!("{:064x}", std::process::id());
    let as_container = OwnCgroup(parent.0.join(format!("docker-{id}.scope")));
    fs::create_dir(&as_container.0)?;
    let found = container(&id).map_err(io::Error::other)?;
    assert_eq!(found.v2_dir(), Some(as_container.0.as_path()));
    assert_eq!(found.v2.map(|v2| v2.level), Some(2));
    Ok(())
}
