//! The hooks at sockets, on the root of cgroup v2: links that go with their
//! descriptor.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
};

use aya::{
    Ebpf,
    programs::{
        CgroupAttachMode, CgroupSkbAttachType, cgroup_skb::CgroupSkbLink,
        cgroup_sock::CgroupSockLink,
    },
};

use super::{super::PlaneError, super::object, Place};

/// Attaches the program for packets that arrive at sockets.
///
/// # Errors
/// When the kernel refuses, or has no cgroup v2 mounted.
pub fn attach(ebpf: &mut Ebpf) -> Result<CgroupSkbLink, PlaneError> {
    let fail = |source| PlaneError::Program { what: Place::SocketIngress.to_string(), source };
    let root = open_root()?;
    let program = object::cg_ingress(ebpf)?;
    // Single: what a link must say; several coexist all the same
    // (aya-rs/aya#1078).
    let id = program
        .attach(&root, CgroupSkbAttachType::Ingress, CgroupAttachMode::Single)
        .map_err(fail)?;
    program.take_link(id).map_err(fail)
}

/// Attaches the program that tags new sockets.
///
/// # Errors
/// As [`attach`].
pub fn attach_create(ebpf: &mut Ebpf) -> Result<CgroupSockLink, PlaneError> {
    let fail = |source| PlaneError::Program { what: Place::SocketCreate.to_string(), source };
    let root = open_root()?;
    let program = object::sock_create(ebpf)?;
    let id = program.attach(&root, CgroupAttachMode::Single).map_err(fail)?;
    program.take_link(id).map_err(fail)
}

fn open_root() -> Result<File, PlaneError> {
    let fail = |source| PlaneError::Host { what: "the root of cgroup v2".to_owned(), source };
    let path = find_root().map_err(fail)?;
    File::open(path).map_err(fail)
}

/// Where cgroup v2 is mounted with its root visible (proc_pid_mountinfo(5)).
fn find_root() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let found = mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (kind.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(point))
    });
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "cgroup v2 is not mounted"))
}
