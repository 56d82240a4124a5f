//! TCX links (kernel 6.6): attached by interface number, gone with their
//! descriptor.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use aya::programs::{SchedClassifier, TcAttachType};

use crate::host::netns::Netns;

// include/uapi/linux/bpf.h
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;
const BPF_F_BEFORE: u32 = 1 << 3;

/// `struct { … } link_create` of `union bpf_attr`, with its tcx member.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
    relative_fd: u32,
    pad: u32,
    expected_revision: u64,
}

const _: () = assert!(size_of::<LinkCreate>() == 32);

/// Attaches in front of all other programs: a packet that goes through the
/// delay line leaves the chain here and comes back later, so that those see it
/// once.
///
/// aya's own way goes by the interface's name, which may change under it.
pub fn attach(
    netns: &Netns,
    program: &SchedClassifier,
    ifindex: u32,
    direction: TcAttachType,
) -> io::Result<OwnedFd> {
    let program = program.fd().map_err(io::Error::other)?.as_fd();
    let attr = LinkCreate {
        prog_fd: program.as_raw_fd() as u32,
        target_ifindex: ifindex,
        attach_type: match direction {
            TcAttachType::Egress => BPF_TCX_EGRESS,
            _ => BPF_TCX_INGRESS,
        },
        flags: BPF_F_BEFORE,
        relative_fd: 0,
        pad: 0,
        expected_revision: 0,
    };
    netns.run(|| link_create(&attr))?
}

fn link_create(attr: &LinkCreate) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `size_of` bytes of `attr`, which outlives the
    // call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_LINK_CREATE,
            std::ptr::from_ref(attr),
            size_of::<LinkCreate>() as u32,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel just gave us, closed on exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Whether the kernel does not know TCX: its answer to an attach type that is
/// none.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP))
}
