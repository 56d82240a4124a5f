//! Features that faults on processes build on: process descriptors, freezers,
//! memory limits.

use std::{fs, io, os::fd::AsFd};

use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};

use super::{Answer, Feature};
use crate::host::{
    cgroup::{Hierarchy, MemoryVersion, Mount, Mounts, Scratch, memory_version},
    process::pidfd,
};

pub(super) fn ask() -> Vec<(Feature, Answer)> {
    vec![
        (Feature::Pidfd, pidfd()),
        (Feature::Freezer, freezer()),
        (Feature::MemoryMax, memory(MemoryVersion::V2)),
        (Feature::MemoryLimit, memory(MemoryVersion::V1)),
    ]
}

fn pidfd() -> Answer {
    let result = pidfd::open(std::process::id()).and_then(|own| pidfd::send_signal(own.as_fd(), 0));
    let lacks = "this kernel has no process descriptors (Linux 5.3)";
    Answer::from_result(result, "signals never reach a process id that is used anew", lacks).0
}

fn freezer() -> Answer {
    const LACKS: &str = "no control group hierarchy here has a freezer";
    let mounts = match Mounts::read() {
        Ok(mounts) => mounts,
        Err(e) => return Answer::refused(format!("/proc/self/mountinfo: {e}")),
    };
    let mut last = Answer::no(LACKS);
    for mount in mounts.iter() {
        let (file, version) = match &mount.hierarchy {
            Hierarchy::V2 => ("cgroup.freeze", 2),
            Hierarchy::V1(c) if c.iter().any(|c| c == "freezer") => ("freezer.state", 1),
            Hierarchy::V1(_) | Hierarchy::Named(_) => continue,
        };
        let works = format!("{file} (version {version})");
        match Answer::from_result(try_in(mount, file), &works, LACKS) {
            (answer, Some(())) => return answer,
            (answer, None) => last = answer,
        }
    }
    last
}

/// Whether a group of the hierarchy has a file that may be written.
fn try_in(mount: &Mount, file: &str) -> io::Result<()> {
    let group = Scratch::new(fs::File::open(&mount.point)?.into(), "freezer")?;
    Ok(openat(&group, file, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty()).map(drop)?)
}

fn memory(version: MemoryVersion) -> Answer {
    let name = |v| match v {
        MemoryVersion::V1 => "version 1",
        MemoryVersion::V2 => "version 2",
    };
    match memory_version() {
        Some(found) if found == version => {
            Answer::yes(format!("the memory controller is in {}", name(found)))
        }
        Some(other) => Answer::no(format!("the memory controller is in {}", name(other))),
        None => Answer::no("no control group hierarchy here has the memory controller"),
    }
}
