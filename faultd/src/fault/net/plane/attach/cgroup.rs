//! The hooks at sockets, on the root of cgroup v2: links that go with their
//! descriptor.

use std::os::fd::OwnedFd;

use aya::{
    Ebpf,
    programs::{
        CgroupAttachMode, CgroupSkbAttachType, cgroup_skb::CgroupSkbLink,
        cgroup_sock::CgroupSockLink,
    },
};

use super::{super::PlaneError, super::object, Place};
use crate::host::cgroup::v2_root;

/// Attaches the program for packets that arrive at sockets.
///
/// # Errors
/// When the kernel refuses, or has no cgroup v2.
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

fn open_root() -> Result<OwnedFd, PlaneError> {
    let fail = |source| PlaneError::Host { what: "the root of cgroup v2".to_owned(), source };
    v2_root().map_err(fail)
}
