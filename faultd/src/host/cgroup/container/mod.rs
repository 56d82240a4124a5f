//! The control group of a container, by the naming habits of the runtimes.
//! None of their daemons is asked, as the fault may be that they hang.

mod names;
mod pattern;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{CgroupError, CgroupRef, mount::Mounts, points, procs::walk};

/// The group of a container, by id, by an unambiguous beginning of its id, or
/// by name.
///
/// # Errors
/// When there is none, with the places that were searched, or when several
/// ids begin like that.
pub fn container(id_or_name: &str) -> Result<CgroupRef, CgroupError> {
    container_in(&Mounts::read()?, Path::new("/"), id_or_name)
}

/// The containers of one hierarchy: key to path below the mount point.
type Found = BTreeMap<String, PathBuf>;

fn container_in(mounts: &Mounts, root: &Path, wanted: &str) -> Result<CgroupRef, CgroupError> {
    if mounts.iter().next().is_none() {
        return Err(CgroupError::NoHierarchy);
    }
    let ids = names::ids(root, wanted);
    for mount in mounts.iter() {
        let mut found = Found::new();
        for dir in walk(&mount.point) {
            let key = dir.file_name().and_then(|n| pattern::container(n.to_str()?));
            let below = dir.strip_prefix(&mount.point);
            if let (Some(key), Ok(below)) = (key, below) {
                // The nearest: systemd in a container repeats its path inside.
                found.entry(key).or_insert_with(|| below.to_owned());
            }
        }
        if let Some(below) = pick(&found, wanted, &ids)?
            && let Some(group) = CgroupRef::at(mounts.iter(), below)?
        {
            return Ok(group);
        }
    }
    let known = match ids.as_slice() {
        [] => "no runtime's files name it".to_owned(),
        ids => format!("that is the name of {}, which does not run", ids.join(" and ")),
    };
    Err(CgroupError::NotFound {
        wanted: format!("container {wanted:?}"),
        looked: format!(
            "for a control group of Docker, containerd, CRI-O, Podman, LXC or systemd-machined \
             with that id or name below {} ({known})",
            points(mounts.iter())
        ),
    })
}

/// An exact id or machine name goes first, then a name, then the beginning of
/// an id; the order of docker(1).
fn pick<'f>(
    found: &'f Found,
    wanted: &str,
    ids: &[String],
) -> Result<Option<&'f Path>, CgroupError> {
    if let Some(exact) = found.get(wanted) {
        return Ok(Some(exact));
    }
    let named: Vec<_> = found.iter().filter(|(key, _)| ids.contains(key)).collect();
    let begins: Vec<_> =
        found.iter().filter(|(key, _)| pattern::is_id(key) && key.starts_with(wanted)).collect();
    let candidates = if named.is_empty() { begins } else { named };
    match candidates.as_slice() {
        [] => Ok(None),
        [(_, below)] => Ok(Some(below.as_path())),
        several => Err(CgroupError::Ambiguous {
            wanted: format!("container {wanted:?}"),
            found: several.iter().map(|(id, _)| (*id).clone()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests;
